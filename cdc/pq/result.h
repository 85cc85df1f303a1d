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

#include "cdc/base/attributes.h"
#include "cdc/base/error.h"

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
