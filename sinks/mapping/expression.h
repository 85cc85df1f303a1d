/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expression.h - one expression of SQL, and the server's proof that it always gives the same value for the
 * same row.
 *
 * The proof is a temporary table, of a transaction that is rolled back, with a generated column: the server
 * takes it only if the expression is immutable, has no subquery, and uses nothing but columns of the table.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/pq/session.h"

/* A column of the source's table. */
struct expression_column {
    const char *name;
    const char *type_schema;
    const char *type_name; /* of a domain its base type */
    bool is_identity;      /* the old row of each update and delete has it */
    bool is_sent;          /* rows have it; a generated column may be missing */
    bool is_known;         /* and its type exists where expressions are computed; others cannot be used */
};

struct expression {
    const char *sql;
    bool is_condition; /* it must be a boolean, and null is false */
    /* What the server has found. */
    oid_t type_oid;
    const char *type_sql;
    const char *type_schema;
    const char *type_name;
    bool *uses; /* by the table's columns */
};

/* Sets is_known. */
MUST_CHECK bool expression_find_types(struct session *session, struct expression_column *columns,
                                      uint32_t count, struct error *err);

/* ERROR_CONFIG: the server does not accept it; with the server's words and a remedy. */
MUST_CHECK bool expression_prove(struct session *session, const struct expression_column *columns,
                                 uint32_t count, struct arena *arena, struct expression *expression,
                                 struct error *err);

/* The text, in parentheses: (sql), or (sql) is true for a condition. A comment at its end ends, too. */
void expression_append(struct buffer *sql, const struct expression *expression);
