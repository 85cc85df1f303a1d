/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle_parts.h - lists of columns and conditions, from which the function that settles is written.
 */
#pragma once

#include "sinks/postgres/settle/settle_sql.h"

/* Has the rule dedupe? */
static inline bool settled_has_groups(const struct settled *settled) {
    return settled->policy->by_count > 0;
}

static inline bool settled_is_key(const struct settled *settled, int row) {
    return !PQgetisnull(settled->columns, row, SETTLED_KEY);
}

/* The name of a column of the candidates. */
void settle_append_column(struct buffer *sql, const struct settled *settled, int row, const char *alias);

/* The names of the key's columns. alias: "c." or "". */
void settle_append_keys(struct buffer *sql, const struct settled *settled, const char *alias);

/* All columns of the settled table: those of the rows, and their source. */
void settle_append_all(struct buffer *sql, const struct settled *settled, const char *alias);

/* one.k = other.k, for each column of the key. */
void settle_append_same_key(struct buffer *sql, const struct settled *settled, const char *one,
                            const char *other);

/* The key as in pgcdc.rejected. */
void settle_append_key_object(struct buffer *sql, const struct settled *settled, const char *alias);

/* The values of the expressions, each with text around it. */
void settle_append_by(struct buffer *sql, const struct settled *settled, const char *before,
                      const char *after, const char *glue);

/* one.by = other.by, for each expression. */
void settle_append_same_group(struct buffer *sql, const struct settled *settled, const char *one,
                              const char *other);

/* The names of the two tables. */
void settle_append_candidates(struct buffer *sql, const struct settled *settled);
void settle_append_table(struct buffer *sql, const struct settled *settled);

/* rows: a transition table; NULL: the candidates. With dedupe, with the values of the expressions. */
void settle_append_rows(struct buffer *sql, const struct settled *settled, const char *rows);

/* " cross join lateral (...) c": the candidates of a key k, or of a group g. */
void settle_append_lookup(struct buffer *sql, const struct settled *settled, bool of_group);

/* "(...) t": the row of a key k in the settled table. */
void settle_append_place(struct buffer *sql, const struct settled *settled);
