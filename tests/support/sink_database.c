/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_database.c - see sink_database.h.
 */
#include "tests/support/sink_database.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

const char *database_dsn(void) {
    return getenv("PGCDC_TEST_DSN");
}

PGconn *database_connect(void) {
    PGconn *conn = PQconnectdb(database_dsn());
    cr_assert_eq(PQstatus(conn), CONNECTION_OK, "%s", PQerrorMessage(conn));
    database_execute(conn, "set client_min_messages = error");
    return conn;
}

static PGresult *run(PGconn *conn, const char *sql) {
    PGresult *result = PQexec(conn, sql);
    ExecStatusType status = PQresultStatus(result);
    cr_assert(status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK, "%s: %s", sql, PQerrorMessage(conn));
    return result;
}

void database_execute(PGconn *conn, const char *sql) {
    PQclear(run(conn, sql));
}

char *database_text(PGconn *conn, const char *sql) {
    PGresult *result = run(conn, sql);
    cr_assert_gt(PQntuples(result), 0, "%s: no row", sql);
    char *text = strdup(PQgetvalue(result, 0, 0));
    cr_assert_not_null(text);
    PQclear(result);
    return text;
}

long database_number(PGconn *conn, const char *sql) {
    char *text = database_text(conn, sql);
    long number = strtol(text, NULL, 10);
    free(text);
    return number;
}
