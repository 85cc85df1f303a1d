/* SPDX-License-Identifier: Apache-2.0 */
/*
 * result.c - counts rows, columns and NULLs once, before any field is read.
 */
#include "cdc/pq/result.h"

#include <string.h>

#include "cdc/base/amount.h"

static bool may_be_null(const struct result_shape *shape, int column) {
    return shape->nullable == RESULT_NULL_ANYWHERE || (column < 32 && (shape->nullable >> column & 1u) != 0);
}

static bool check_nulls(const PGresult *result, const char *peer, const struct result_shape *shape,
                        struct error *err) {
    for (int row = 0; row < PQntuples(result); row++)
        for (int column = 0; column < shape->columns; column++)
            if (!may_be_null(shape, column) && PQgetisnull(result, row, column))
                return error_set(err, ERROR_PROTOCOL, "%s: %s answered NULL in column %d, where none can be",
                                 peer, shape->query, column + 1);
    return true;
}

bool result_check(const PGresult *result, const char *peer, const struct result_shape *shape,
                  struct error *err) {
    const int rows = PQntuples(result), columns = PQnfields(result);
    if (columns != shape->columns)
        return error_set(err, ERROR_PROTOCOL, "%s: %s answered %s instead of %d", peer, shape->query,
                         amount_count((uint64_t) columns, "column").text, shape->columns);
    if (rows < shape->rows_min || rows > shape->rows_max)
        return error_set(err, ERROR_PROTOCOL, "%s: %s answered %s, expected %d to %d", peer, shape->query,
                         amount_count((uint64_t) rows, "row").text, shape->rows_min, shape->rows_max);
    return check_nulls(result, peer, shape, err);
}

int result_find(const PGresult *result, int column, const char *text) {
    for (int row = 0; row < PQntuples(result); row++)
        if (!PQgetisnull(result, row, column) && strcmp(PQgetvalue(result, row, column), text) == 0)
            return row;
    return -1;
}
