/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sums.h - the queries about a part of a table. README.md shows them.
 */
#pragma once

#include "sinks/postgres/verify/both_sides.h"
#include "sinks/postgres/verify/expressions.h"

/* Functions of struct comparison_ops. */
MUST_CHECK bool sums_check_where(struct comparison *comparison, const struct comparison_table *table,
                                 const char *where_sql, struct error *err);
MUST_CHECK bool sums_hold(struct comparison *comparison, const struct comparison_table *table,
                          bool *ret_whole, struct error *err);
MUST_CHECK bool sums_ask(struct comparison *comparison, const struct comparison_question *question,
                         struct comparison_answer *ret_answer, struct error *err);
MUST_CHECK bool sums_count_narrowed(struct comparison *comparison, const struct comparison_part *part,
                                    uint64_t *ret_rows, struct error *err);
MUST_CHECK bool sums_find_columns(struct comparison *comparison, const struct comparison_part *part,
                                  const struct comparison_keys *keys, bool *differs, struct error *err);
MUST_CHECK bool sums_read_rows(struct comparison *comparison, const struct comparison_part *part,
                               const struct comparison_keys *keys, struct arena *arena,
                               struct comparison_row *ret_rows, struct error *err);

/* Adds two results of (key, count, hash), each ordered by key, to the answer; streaks begin at 1. */
MUST_CHECK bool sums_merge(struct comparison_answer *answer, const PGresult *source, const PGresult *target,
                           struct error *err);
