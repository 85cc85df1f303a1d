/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ignored_columns.c - by number, so that a column which got another name since is found.
 */
#include "sinks/postgres/schema/ignored_columns.h"

#include <stdio.h>
#include <stdlib.h>

/* What is noted of another table of that name does not hold for this one. */
static const char IGNORED[] =
    "select u.number from pgcdc.columns c join pg_catalog.pg_class t on t.oid = c.target_oid"
    " join pg_catalog.pg_namespace s on s.oid = t.relnamespace cross join lateral rows from"
    " (pg_catalog.unnest(c.numbers), pg_catalog.unnest(c.target_numbers)) u (number, target)"
    " where c.pipeline = $1 and c.sink = $2 and c.relation_oid = $3::pg_catalog.oid and s.nspname = $4"
    " and t.relname = $5 and u.target < 0";

static bool is_readable(struct session *session, bool *ret_readable, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = 'pgcdc' and c.relname = 'columns'"
        " and pg_catalog.has_schema_privilege(n.oid, 'usage')"
        " and pg_catalog.has_table_privilege(c.oid, 'select')";
    PGresult *row AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for pgcdc.columns", 0, 1, 0, 0}, &row, err))
        return false;
    *ret_readable = PQntuples(row) == 1;
    return true;
}

bool ignored_columns_read(struct session *session, const struct sink_config *config,
                          const struct table *table, PGresult **ret_ignored, struct error *err) {
    char oid[16];
    const char *const parameters[] = {config->pipeline, config->name, oid, table->schema, table->name};
    bool readable = false;
    *ret_ignored = NULL;
    if (!is_readable(session, &readable, err))
        return false;
    snprintf(oid, sizeof oid, "%u", table->oid);
    return !readable || session_query(session, IGNORED, 5, parameters,
                                      &(const struct result_shape){"the query for ignored columns", 0,
                                                                   RESULT_ROWS_ANY, 1, 1u},
                                      ret_ignored, err);
}

/* A rule of a mapping that is about the column says what becomes of it; and rows are found by their key. */
static bool is_needed(const struct table_column *column) {
    return column->is_added || column->is_made || column->source_name != NULL || column->key_index > 0;
}

bool ignored_columns_has(const PGresult *ignored, const struct table_column *column) {
    bool found = false;
    for (int row = 0; row < PQntuples(ignored) && !is_needed(column); row++)
        found = found || strtoul(PQgetvalue(ignored, row, 0), NULL, 10) == column->number;
    return found;
}
