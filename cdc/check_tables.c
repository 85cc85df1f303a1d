/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_tables.c - each table at the source: may it be read, and can its updates and deletes be told?
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/check.h"

#define OIDS_BYTES_MAX (16u << 20)

static const char RIGHTS[] =
    "select n.nspname, c.relname, has_schema_privilege(n.oid, 'usage'), has_table_privilege(c.oid, 'select'),"
    " row_security_active(c.oid)"
    " from unnest($1::oid[]) named join pg_class c on c.oid = named join pg_namespace n on n.oid = c.relnamespace"
    " where not has_schema_privilege(n.oid, 'usage') or not has_table_privilege(c.oid, 'select')"
    " or row_security_active(c.oid) order by 1, 2";

/*
 * A partitioned table's own identity does not matter, its leaves' does. candidate: an index that could be the
 * identity; unique, checked at once, on plain columns that are never null.
 */
static const char IDENTITY[] =
    "select n.nspname, l.relname, l.relreplident,"
    " (select x.relname from pg_index i join pg_class x on x.oid = i.indexrelid where i.indrelid = l.oid"
    "   and i.indisunique and i.indimmediate and i.indisvalid and i.indpred is null and i.indexprs is null"
    "   and not exists (select from pg_attribute a where a.attrelid = l.oid and not a.attnotnull"
    "     and a.attnum = any ((i.indkey::int2[])[0:i.indnkeyatts - 1]))"
    "   order by i.indisprimary desc, i.indnkeyatts, x.relname limit 1)"
    " from unnest($1::oid[]) named join pg_class c on c.oid = named"
    " cross join lateral (select c.oid where c.relkind <> 'p' union all"
    "   select t.relid from pg_partition_tree(c.oid) t where t.isleaf and c.relkind = 'p') leaf (oid)"
    " join pg_class l on l.oid = leaf.oid and l.relkind = 'r' join pg_namespace n on n.oid = l.relnamespace"
    " where not case l.relreplident when 'f' then true when 'n' then false"
    "   when 'd' then exists (select from pg_index i where i.indrelid = l.oid and i.indisprimary and i.indimmediate)"
    "   else exists (select from pg_index i where i.indrelid = l.oid and i.indisreplident and i.indisvalid) end"
    " order by 1, 2";

const char *check_table_oids(struct check *check) {
    struct buffer text AUTO(buffer_release);
    buffer_init(&text, OIDS_BYTES_MAX);
    buffer_append_u8(&text, '{');
    for (size_t i = 0; i < check->tables.count; i++)
        buffer_printf(&text, "%s%u", i > 0 ? "," : "", check->tables.tables[i].oid);
    buffer_append_u8(&text, '}');
    return buffer_ok(&text) ? arena_copy(&check->arena, buffer_slice(&text)) : NULL;
}

static bool query_tables(struct check *check, const char *sql, PGresult **ret_rows, struct error *err) {
    const char *parameters[] = {check_table_oids(check)};
    return parameters[0] != NULL ? session_query(&check->source, sql, 1, parameters, ret_rows, err)
                                 : error_no_memory(err);
}

/* ---- rights ---- */

/* The copy reads; the stream needs no right at all, but verify does. */
static enum severity reading_severity(const struct check *check) {
    return check_expects_copy(check) ? SEVERITY_PROBLEM : SEVERITY_WARNING;
}

static void add_no_usage(struct check *check, const char *schema) {
    const char *role = check_name(check, NULL, check->facts.role);
    findings_add(&check->findings, reading_severity(check), "schema_usage",
                 "role %s has no right to use schema %s", role, check_name(check, NULL, schema));
    findings_fix(&check->findings, "grant usage on schema %s to %s;", check_name(check, NULL, schema), role);
}

static void add_no_select(struct check *check, const char *table) {
    const char *role = check_name(check, NULL, check->facts.role);
    findings_add(&check->findings, reading_severity(check), "table_select", "role %s may not read table %s",
                 role, table);
    findings_fix(&check->findings, "grant select on table %s to %s;", table, role);
    findings_object(&check->findings, table);
}

static void add_row_security(struct check *check, const char *table) {
    const char *role = check_name(check, NULL, check->facts.role);
    findings_add(&check->findings, reading_severity(check), "row_security",
                 "row level security hides rows of table %s from role %s; the copy refuses to miss them",
                 table, role);
    findings_fix(&check->findings, "alter role %s bypassrls;", role);
    findings_object(&check->findings, table);
}

static void check_rights_row(struct check *check, const PGresult *rows, int row) {
    const char *table = check_name(check, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
    if (PQgetvalue(rows, row, 2)[0] != 't' &&
        (row == 0 || strcmp(PQgetvalue(rows, row, 0), PQgetvalue(rows, row - 1, 0)) != 0))
        add_no_usage(check, PQgetvalue(rows, row, 0));
    if (PQgetvalue(rows, row, 3)[0] != 't')
        add_no_select(check, table);
    if (PQgetvalue(rows, row, 4)[0] == 't')
        add_row_security(check, table);
}

static bool check_rights(struct check *check, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!query_tables(check, RIGHTS, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        check_rights_row(check, rows, row);
    return true;
}

/* ---- replica identity ---- */

static void add_identity(struct check *check, const PGresult *rows, int row) {
    const char *table = check_name(check, PQgetvalue(rows, row, 0), PQgetvalue(rows, row, 1));
    findings_add(
        &check->findings, SEVERITY_PROBLEM, "replica_identity",
        "table %s has no usable replica identity: once published, the source refuses its updates and deletes",
        table);
    if (PQgetisnull(rows, row, 3))
        findings_fix(&check->findings,
                     "alter table %s replica identity full;  -- or give it a primary key, which is cheaper",
                     table);
    else
        findings_fix(&check->findings, "alter table %s replica identity using index %s;", table,
                     check_name(check, NULL, PQgetvalue(rows, row, 3)));
    findings_object(&check->findings, table);
}

static bool check_identity(struct check *check, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!query_tables(check, IDENTITY, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        add_identity(check, rows, row);
    return true;
}

bool check_tables(struct check *check, struct error *err) {
    if (!check->has_tables || check->tables.count == 0)
        return true;
    return check_rights(check, err) && (!check->sends_updates || check_identity(check, err));
}
