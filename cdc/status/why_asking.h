/* SPDX-License-Identifier: Apache-2.0 */
/*
 * why_asking.h - what the files of why share: the target's session, and a question to it.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/pq/session.h"
#include "cdc/status/why.h"

struct asking {
    struct session session; /* in a transaction that is read only */
    PGresult *columns;      /* the target's, in order */
    const struct change *change;
    struct arena *arena;
    struct why *why;
};

enum { COLUMN_NAME, COLUMN_TYPE, COLUMN_DEFAULT, COLUMN_IS_GENERATED, COLUMN_IS_PRIMARY };

/* The new row and its key, twice. */
enum { PARAMETERS_MAX = 3 * RELATION_COLUMNS_MAX };

struct question {
    struct buffer sql;
    const char *parameters[PARAMETERS_MAX];
    int count;
    struct arena *arena;
    bool failed; /* no memory */
};

void question_init(struct question *question, struct arena *arena);
void question_release(struct question *question);

/* Appends $n for the text. */
void question_add_value(struct question *question, struct slice text);

/* Appends ("a" = $1 and "b" is null), with the row's key. */
void question_add_key(struct question *question, const struct named_values *key);

/* Asks for at most one row. A query that the target refuses has no answer: *ret_result is NULL. */
MUST_CHECK bool question_ask(struct question *question, struct asking *asking, PGresult **ret_result,
                             struct error *err);

/* The rows that are in the way of the new row, for each constraint of the target. */
MUST_CHECK bool why_ask_clashes(struct asking *asking, struct error *err);
