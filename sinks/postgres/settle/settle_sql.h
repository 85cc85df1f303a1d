/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle_sql.h - the function of the target that settles candidates, as SQL.
 */
#pragma once

#include <libpq-fe.h>

#include "cdc/base/buffer.h"
#include "sinks/row_policy.h"

/* Columns of the answer about a table of candidates. */
enum {
    SETTLED_NAME,
    SETTLED_TYPE,      /* as in DDL, with the collation */
    SETTLED_KEY,       /* its place in the key; NULL: none */
    SETTLED_IN_TARGET, /* t: the settled table has it */
    SETTLED_SAME_TYPE, /* t: with the same type */
    SETTLED_HAS_VALUE, /* t: it was added with a value for the rows that were there */
    SETTLED_TYPE_SCHEMA,
    SETTLED_TARGET_TYPE, /* of the settled table; NULL: it has no such column */
    SETTLED_COLUMNS,
};

/* A table of candidates and the one that is settled from it. */
struct settled {
    const struct row_policy *policy;
    const char *schema;
    const char *candidates;
    const char *table;
    const PGresult *columns; /* of the candidates, without those that only order them */
};

/*
 * The first line of the function's body: it is the same as long as the rule is. Of the rest, the function
 * that the table needs with its columns as they are now.
 */
void settle_sql_head(struct buffer *sql, const struct settled *settled);
void settle_sql_body(struct buffer *sql, const struct settled *settled);

/* "k1", "k2": the key of the settled table. */
void settle_sql_key(struct buffer *sql, const struct settled *settled);

/* The complete statement, from the body. */
void settle_sql_function(struct buffer *sql, const struct settled *settled, struct slice body);

/* The statements that attach it to the candidates, in place of those before. */
void settle_sql_triggers(struct buffer *sql, const struct settled *settled);
