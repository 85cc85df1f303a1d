/* SPDX-License-Identifier: Apache-2.0 */
/*
 * both_sides.h - one query on each side, both at the same time.
 */
#pragma once

#include "sinks/postgres/verify/target_comparison.h"

/* Each side has its own SQL; parameter may be NULL. */
struct both_question {
    const char *source_sql;
    const char *target_sql;
    const char *parameter;
    struct result_shape shape;
    bool is_staged; /* source_sql is about the temporary table of the mapped rows */
};

struct both_answers {
    PGresult *source;
    PGresult *target;
};

/* The caller releases the answers, also after a failure. */
MUST_CHECK bool both_sides_ask(struct target_comparison *comparison, const struct both_question *question,
                               struct both_answers *ret_answers, struct error *err);
void both_answers_release(struct both_answers *answers);
