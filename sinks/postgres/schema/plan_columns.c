/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_columns.c - one query, and looking in its answer.
 */
#include "sinks/postgres/schema/plan_columns.h"

#include <stdio.h>
#include <stdlib.h>

bool plan_columns_read(struct session *session, oid_t table, PGresult **ret_columns, struct error *err) {
    static const char SQL[] =
        "select attname, attnum, attnotnull, atthasdef, attidentity <> '', atttypid, atttypmod"
        " from pg_catalog.pg_attribute where attrelid = $1::pg_catalog.oid and attnum > 0 and not "
        "attisdropped"
        " order by attnum";
    char oid[16];
    const char *const parameters[] = {oid};
    snprintf(oid, sizeof oid, "%u", table);
    return session_query(session, SQL, 1, parameters,
                         &(const struct result_shape){"the query for the target's columns", 0,
                                                      RESULT_ROWS_ANY, PLAN_FIELDS, 0},
                         ret_columns, err);
}

int plan_columns_find_name(const PGresult *columns, struct slice name) {
    for (int row = 0; row < PQntuples(columns); row++)
        if (slice_equal(slice_of(PQgetvalue(columns, row, PLAN_NAME)), name))
            return row;
    return -1;
}

int plan_columns_find_number(const PGresult *columns, uint32_t number) {
    for (int row = 0; row < PQntuples(columns); row++)
        if (strtoul(PQgetvalue(columns, row, PLAN_NUMBER), NULL, 10) == number)
            return row;
    return -1;
}
