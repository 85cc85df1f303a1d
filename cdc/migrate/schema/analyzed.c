/* SPDX-License-Identifier: Apache-2.0 */
/*
 * analyzed.c - the target says which tables have statistics, and the source which need more than those of
 * the columns: an index on an expression and extended statistics get theirs only once they exist.
 */
#include "cdc/migrate/schema/analyzed.h"

#include <string.h>

/* A table with children has statistics of all of them, too. */
static const char ANALYZED[] =
    "select n.nspname::text, c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
    " on n.oid = c.relnamespace where c.relkind = 'r' and not c.relhassubclass and exists (select from"
    " pg_catalog.pg_stats s where s.schemaname = n.nspname and s.tablename = c.relname)";

static const char LACKING[] =
    "select n.nspname::text, c.relname::text from pg_catalog.pg_class c join pg_catalog.pg_namespace n"
    " on n.oid = c.relnamespace where c.relkind = 'r' and"
    " (exists (select from pg_catalog.pg_index i where i.indrelid = c.oid and i.indexprs is not null)"
    " or exists (select from pg_catalog.pg_statistic_ext e where e.stxrelid = c.oid))";

static bool ask_tables(struct session *session, const char *sql, PGresult **ret_rows, struct error *err) {
    return session_query(session, sql, 0, NULL,
                         &(const struct result_shape){"the query for statistics", 0, RESULT_ROWS_ANY, 2, 0},
                         ret_rows, err);
}

static bool has_table(const PGresult *rows, const struct object *object) {
    for (int row = 0; row < PQntuples(rows); row++)
        if (strcmp(PQgetvalue(rows, row, 1), object->name) == 0 &&
            strcmp(PQgetvalue(rows, row, 0), object->schema) == 0)
            return true;
    return false;
}

bool analyzed_skip(struct sides *sides, struct error *err) {
    PGresult *analyzed AUTO_PGRESULT = NULL;
    PGresult *lacking AUTO_PGRESULT = NULL;
    if (!ask_tables(&sides->target, ANALYZED, &analyzed, err) ||
        !ask_tables(&sides->source, LACKING, &lacking, err))
        return false;
    for (int row = 0; row < PQntuples(analyzed); row++) {
        const struct object like = {
            .kind = "ANALYZE", .schema = PQgetvalue(analyzed, row, 0), .name = PQgetvalue(analyzed, row, 1)};
        struct object *analyze = object_list_find(&sides->at_source, &like);
        if (analyze != NULL && !has_table(lacking, analyze))
            analyze->sql = "";
    }
    return true;
}
