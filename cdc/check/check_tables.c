/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_tables.c - each table at the source: may it be read, and do updates and deletes identify the row?
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/check/check.h"
#include "cdc/copy/chunk_divider.h"
#include "cdc/source/identity.h"

#define LONG_COPY_BYTES (UINT64_C(10) << 30)

static const char RIGHTS[] =
    "select n.nspname, c.relname, has_schema_privilege(n.oid, 'usage'), has_table_privilege(c.oid, 'select'),"
    " row_security_active(c.oid)"
    " from unnest($1::oid[]) named join pg_class c on c.oid = named join pg_namespace n on n.oid = "
    "c.relnamespace"
    " where not has_schema_privilege(n.oid, 'usage') or not has_table_privilege(c.oid, 'select')"
    " or row_security_active(c.oid) order by 1, 2";

const char *check_table_oids(struct check *check) {
    return table_oids(check->tables.tables, check->tables.count, &check->arena);
}

static bool query_tables(struct check *check, const char *sql, PGresult **ret_rows, struct error *err) {
    const char *parameters[] = {check_table_oids(check)};
    return parameters[0] != NULL
               ? session_query(&check->source, sql, 1, parameters,
                               &(const struct result_shape){"the query for rights", 0, RESULT_ROWS_ANY, 5, 0},
                               ret_rows, err)
               : error_no_memory(err);
}

/* ---- rights ---- */

/* The copy reads tables; the stream needs no right, but verify does. */
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
                 "row level security hides rows of table %s from role %s; the copy would miss them, so it "
                 "refuses",
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
    if (result_is_true(rows, row, 4))
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

/*
 * Identity full would include the generated column, so the table needs a key and has none. The fix adds a key
 * that requires no choice; its column becomes that of children, too, and cannot be an identity then.
 */
static void fix_without_full(struct check *check, const char *table, const PGresult *rows, int row) {
    const char *oid = PQgetvalue(rows, row, IDENTITY_OID);
    const char *place = PQgetvalue(rows, row, IDENTITY_PLACE);
    const char *generated = check_name(check, NULL, PQgetvalue(rows, row, IDENTITY_GENERATED));
    if (strcmp(place, "partition") == 0)
        findings_fix(&check->findings,
                     "give the table whose partition is %s a primary key that contains its partition key; "
                     "identity full cannot be, because of the generated column %s",
                     table, generated);
    else if (strcmp(place, "parent") == 0)
        findings_fix(&check->findings,
                     "alter table %s add column pgcdc_key_%s bigserial, add constraint pgcdc_key_%s unique "
                     "(pgcdc_key_%s); alter table %s replica identity using index pgcdc_key_%s;  -- or give "
                     "it a key of its own columns; identity full cannot be, because of the generated column "
                     "%s",
                     table, oid, oid, oid, table, oid, generated);
    else
        findings_fix(&check->findings,
                     "alter table %s add column pgcdc_key bigint generated always as identity, add "
                     "constraint pgcdc_key_%s unique (pgcdc_key); alter table %s replica identity using "
                     "index pgcdc_key_%s;  -- or give it a key of its own columns; identity full cannot be, "
                     "because of the generated column %s",
                     table, oid, table, oid, generated);
}

static void add_identity(struct check *check, const PGresult *rows, int row) {
    const char *table =
        check_name(check, PQgetvalue(rows, row, IDENTITY_SCHEMA), PQgetvalue(rows, row, IDENTITY_NAME));
    findings_add(
        &check->findings, SEVERITY_PROBLEM, "replica_identity",
        "table %s has no usable replica identity: once published, the source refuses its updates and deletes",
        table);
    if (!PQgetisnull(rows, row, IDENTITY_INDEX))
        findings_fix(&check->findings, "alter table %s replica identity using index %s;", table,
                     check_name(check, NULL, PQgetvalue(rows, row, IDENTITY_INDEX)));
    else if (!PQgetisnull(rows, row, IDENTITY_GENERATED))
        fix_without_full(check, table, rows, row);
    else
        findings_fix(&check->findings,
                     "alter table %s replica identity full;  -- or give it a primary key, which is cheaper",
                     table);
    findings_object(&check->findings, table);
}

bool check_identity(struct check *check, const char *oids, const char *publications, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (oids == NULL)
        return error_no_memory(err);
    if (!identity_find_unusable(&check->source, oids, publications, &rows, err))
        return false;
    for (int row = 0; row < PQntuples(rows); row++)
        add_identity(check, rows, row);
    return true;
}

/* ---- large tables that a live copy reads under one snapshot ---- */

uint64_t check_long_copy_bytes(const struct check *check) {
    return check->config->copy.mode == COPY_MODE_LIVE && check_expects_copy(check) ? LONG_COPY_BYTES
                                                                                   : UINT64_MAX;
}

void check_add_long_copy(struct check *check, const struct table *table, const char *reason) {
    const char *name = check_name(check, table->schema, table->name);
    findings_add(
        &check->findings, SEVERITY_WARNING, "copy_one_snapshot",
        "table %s has %s and %s, so all of it is copied from one snapshot: its changes wait until it is "
        "copied, and an interruption starts it over",
        name, amount_bytes((double) table->bytes_estimate).text, reason);
    findings_object(&check->findings, name);
}

static bool check_sizes(struct check *check, struct error *err) {
    for (size_t i = 0; i < check->tables.count; i++) {
        const struct table *table = &check->tables.tables[i];
        struct chunk chunk = {0};
        if (table->bytes_estimate <= check_long_copy_bytes(check))
            continue;
        if (!chunk_divider_find(&check->source, table, &check->arena, &chunk, err))
            return false;
        if (chunk.method == CHUNK_WHOLE)
            check_add_long_copy(check, table, "no primary key whose first column can be divided");
    }
    return true;
}

bool check_tables(struct check *check, struct error *err) {
    if (!check->has_tables || check->tables.count == 0)
        return true;
    if (!check_rights(check, err) || !check_sizes(check, err))
        return false;
    return !check->publication_exists || !check->sends_updates ||
           check_identity(check, check_table_oids(check), check->config->source.publication_array, err);
}
