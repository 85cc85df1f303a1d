/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_deferrable.c - constraints that the source checks at the end of a transaction and the target
 * at each row.
 *
 * Two rows that swap their values are valid at the source and a conflict at the target.
 */
#include "sinks/postgres/check/check.h"

/* $1: the tables' OIDs. */
static const char DEFERRABLE[] =
    "select k.conrelid, n.nspname, c.relname, pg_get_constraintdef(k.oid), k.contype,"
    " (select string_agg(quote_ident(a.attname), ',' order by a.attname) from pg_attribute a"
    "  where a.attrelid = k.conrelid and a.attnum = any(k.conkey)), quote_ident(k.conname)"
    " from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = "
    "c.relnamespace"
    " where k.conrelid = any($1::oid[]) and k.contype in ('p', 'u', 'x') and k.condeferrable order by 2, 3, "
    "k.conname";

/*
 * At the target: an immediate index or constraint on exactly these columns. $1 schema, $2 table, $3 kind, $4
 * columns.
 */
static const char IMMEDIATE[] =
    "select quote_ident(coalesce(k.conname, x.relname)), k.conname is not null,"
    " format('%I.%I', n.nspname, x.relname)"
    " from pg_index i join pg_class x on x.oid = i.indexrelid join pg_class c on c.oid = i.indrelid"
    " join pg_namespace n on n.oid = c.relnamespace"
    " left join pg_constraint k on k.conindid = i.indexrelid and k.conrelid = i.indrelid and k.contype in "
    "('p', 'u', 'x')"
    " where n.nspname = $1 and c.relname = $2 and i.indimmediate and i.indpred is null"
    " and ($3 = 'x') = i.indisexclusion and (i.indisunique or i.indisexclusion)"
    " and (select string_agg(quote_ident(a.attname), ',' order by a.attname) from pg_attribute a"
    "  where a.attrelid = c.oid and a.attnum = any((i.indkey::int2[])[0:i.indnkeyatts - 1])) = $4"
    " order by 1";

enum {
    SOURCE_OID,
    SOURCE_SCHEMA,
    SOURCE_NAME,
    SOURCE_DEFINITION,
    SOURCE_KIND,
    SOURCE_COLUMNS,
    SOURCE_CONSTRAINT
};

static bool compare(const struct target_check *target, const PGresult *source, int row, struct error *err) {
    const char *parameters[] = {PQgetvalue(source, row, SOURCE_SCHEMA), PQgetvalue(source, row, SOURCE_NAME),
                                PQgetvalue(source, row, SOURCE_KIND),
                                PQgetvalue(source, row, SOURCE_COLUMNS)};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(target->session, IMMEDIATE, 4, parameters,
                       &(const struct result_shape){"the query for indexes", 0, RESULT_ROWS_ANY, 3, 0},
                       &result, err))
        return false;
    const char *table = target_check_name(target, parameters[0], parameters[1]);
    for (int i = 0; i < PQntuples(result); i++) {
        bool is_constraint = result_is_true(result, i, 1);
        const char *name = PQgetvalue(result, i, 0);
        sink_check_add(
            target->check, SINK_WARNING, "target_deferrable",
            "%s of table %s is deferrable at the source only: rows that swap their values stop the "
            "pipeline",
            name, table);
        if (is_constraint)
            sink_check_fix(target->check, "alter table %s drop constraint %s, add constraint %s %s;", table,
                           name, name, PQgetvalue(source, row, SOURCE_DEFINITION));
        else
            sink_check_fix(target->check, "drop index %s;\nalter table %s add constraint %s %s;",
                           PQgetvalue(result, i, 2), table, PQgetvalue(source, row, SOURCE_CONSTRAINT),
                           PQgetvalue(source, row, SOURCE_DEFINITION));
        sink_check_object(target->check, table);
    }
    return true;
}

bool target_check_deferrable(const struct target_check *target, struct error *err) {
    const struct sink_check *check = target->check;
    const char *parameters[] = {table_oids(check->tables, check->table_count, check->arena)};
    PGresult *source AUTO_PGRESULT = NULL;
    if (parameters[0] == NULL)
        return error_no_memory(err);
    if (!session_query(target->check->source, DEFERRABLE, 1, parameters,
                       &(const struct result_shape){"the query for deferrable constraints", 0,
                                                    RESULT_ROWS_ANY, SOURCE_CONSTRAINT + 1,
                                                    1u << SOURCE_COLUMNS},
                       &source, err))
        return false;
    for (int row = 0; row < PQntuples(source); row++)
        if (!compare(target, source, row, err))
            return false;
    return true;
}
