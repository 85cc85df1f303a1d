/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h - an answer has the requested shape, or it is an error that names the query.
 *
 * A proxy between us and the server may answer anything. libpq returns NULL for a field that does not exist,
 * and an empty text for a NULL; neither may be taken for the server's value.
 */
#pragma once

#include <libpq-fe.h>
#include <limits.h>
#include <stdbool.h>
#include <stdlib.h>

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

enum { RESULT_ROWS_ANY = INT_MAX };

#define RESULT_NULL_ANYWHERE (~0u)

struct result_shape {
    const char *query; /* for people: the name of the query */
    int rows_min, rows_max;
    int columns;
    unsigned nullable; /* bit N: column N may be NULL; columns from the 33rd on may not, unless all may */
};

/*
 * ERROR_PROTOCOL when the answer has another shape. peer: "source", "target". session_query calls this
 * itself.
 */
MUST_CHECK bool result_check(const PGresult *result, const char *peer, const struct result_shape *shape,
                             struct error *err);

/* Fields of an answer whose shape was checked. A NULL is false, and 0. */
static inline bool result_is_true(const PGresult *result, int row, int column) {
    return PQgetvalue(result, row, column)[0] == 't';
}

static inline oid_t result_oid(const PGresult *result, int row, int column) {
    return (oid_t) strtoul(PQgetvalue(result, row, column), NULL, 10);
}

/* The first row that has the text in this column, or -1. */
int result_find(const PGresult *result, int column, const char *text);
