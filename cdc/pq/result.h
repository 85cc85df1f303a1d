/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.h - an answer has the shape that was asked for, or it is an error that names the query.
 *
 * What stands between us and a server may answer something else. libpq gives NULL for a field that is not
 * there, and an empty text for one that is NULL; neither may pass for what a server said.
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
    const char *query; /* for people: what was asked */
    int rows_min, rows_max;
    int columns;
    unsigned nullable; /* bit N: column N may be NULL; none from the 33rd on may, unless all may */
};

/* ERROR_PROTOCOL when it has another one. peer: "source", "target". session_query does it by itself. */
MUST_CHECK bool result_check(const PGresult *result, const char *peer, const struct result_shape *shape,
                             struct error *err);
