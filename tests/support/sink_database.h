/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_database.h - the PostgreSQL that tests of the Postgres sink write into, seen from outside the sink.
 */
#pragma once

#include <libpq-fe.h>

/* PGCDC_TEST_DSN, or NULL: there is no server to test against. */
const char *database_dsn(void);

/* A plain connection; fails the test when there is none. */
PGconn *database_connect(void);

/* Runs SQL and fails the test when the server does. */
void database_execute(PGconn *conn, const char *sql);

/* The first column of the first row, "" for null; the caller frees it. */
char *database_text(PGconn *conn, const char *sql);

long database_number(PGconn *conn, const char *sql);
