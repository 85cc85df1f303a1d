/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check_missing.c - a table that a Postgres sink lacks: may the copy create it, or which SQL creates
 * it if there is no copy?
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/catalog/table_sql.h"
#include "sinks/postgres/check/check.h"

#define SQL_BYTES_MAX ((size_t) 4 << 20) /* equal to the copy's own CREATE TABLE */

static const char SCHEMA[] = "select has_schema_privilege(oid, 'create'), has_schema_privilege(oid, 'usage')"
                             " from pg_namespace where nspname = $1";
static const char TYPE[] = "select from pg_type t join pg_namespace n on n.oid = t.typnamespace"
                           " where n.nspname = $1 and t.typname = $2";

struct missing {
    const struct target_check *target;
    const struct table *table;
    const char *name; /* quoted */
};

static bool read_schema(const struct missing *missing, const char *schema, PGresult **ret_result,
                        struct error *err) {
    return session_query(missing->target->session, SCHEMA, 1, &schema,
                         &(const struct result_shape){"the query for a schema", 0, 1, 2, 0}, ret_result, err);
}

static bool has_type(const struct missing *missing, const struct table_type *type, bool *ret_has,
                     struct error *err) {
    const char *parameters[] = {type->schema, type->name};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(missing->target->session, TYPE, 2, parameters,
                       &(const struct result_shape){"the query for a type", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_has = PQntuples(result) > 0;
    return true;
}

/* SQL that gives the role a usable schema; printed twice it does no harm. */
static bool append_schema(const struct missing *missing, const char *schema, struct buffer *sql,
                          struct error *err) {
    const char *name = target_check_name(missing->target, NULL, schema);
    PGresult *result AUTO_PGRESULT = NULL;
    if (!read_schema(missing, schema, &result, err))
        return false;
    if (PQntuples(result) == 0)
        buffer_printf(sql, "create schema if not exists %s authorization %s;\n", name, missing->target->role);
    else if (!result_is_true(result, 0, 1))
        buffer_printf(sql, "grant usage on schema %s to %s;\n", name, missing->target->role);
    return true;
}

/* ---- what the copy cannot do ---- */

static bool check_creation(const struct missing *missing, struct error *err) {
    const char *schema_name = target_check_name(missing->target, NULL, missing->table->schema);
    const char *role = missing->target->role;
    PGresult *schema AUTO_PGRESULT = NULL;
    if (!read_schema(missing, missing->table->schema, &schema, err))
        return false;
    if (PQntuples(schema) == 0 && !missing->target->may_create) {
        sink_check_add(missing->target->check, SINK_PROBLEM, "target_schema",
                       "schema %s, of table %s, is missing, and role %s may not create it", schema_name,
                       missing->name, role);
        sink_check_fix(missing->target->check, "create schema %s authorization %s;", schema_name, role);
        sink_check_object(missing->target->check, missing->name);
    } else if (PQntuples(schema) == 1 && !(result_is_true(schema, 0, 0) && result_is_true(schema, 0, 1))) {
        sink_check_add(missing->target->check, SINK_PROBLEM, "target_schema",
                       "table %s is missing, and role %s may not create it", missing->name, role);
        sink_check_fix(missing->target->check, "grant usage, create on schema %s to %s;", schema_name, role);
        sink_check_object(missing->target->check, missing->name);
    }
    return true;
}

/* An extension can have several types. */
static bool add_type(const struct missing *missing, const struct table_type *type, struct error *err) {
    struct buffer schema AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!append_schema(missing, type->schema, &schema, err))
        return false;
    const char *before = buffer_text(&schema);
    sink_check_add(missing->target->check, SINK_PROBLEM, "target_type",
                   "type %s, of column %s of table %s, is missing and cannot be created by the copy",
                   target_check_name(missing->target, type->schema, type->name),
                   target_check_name(missing->target, NULL, type->column), missing->name);
    if (type->extension != NULL)
        sink_check_fix(missing->target->check, "%screate extension if not exists %s with schema %s;",
                       before != NULL ? before : "",
                       target_check_name(missing->target, NULL, type->extension),
                       target_check_name(missing->target, NULL, type->schema));
    else
        sink_check_fix(missing->target->check, "create the type in the target as it is in the source");
    sink_check_object(missing->target->check, missing->name);
    return true;
}

/* Another table's fix may create it already. */
static bool append_type(const struct missing *missing, const struct table_type *type, struct buffer *sql,
                        struct error *err) {
    struct buffer *said = missing->target->said;
    const char *all = buffer_text(said);
    if (all != NULL && strstr(all, type->create_sql) != NULL)
        return true;
    if (!append_schema(missing, type->schema, sql, err))
        return false;
    buffer_printf(sql, "%s;\n", type->create_sql);
    buffer_printf(said, "%s;\n", type->create_sql);
    return true;
}

/* sql: receives the statements for types that the copy would create; NULL: the copy creates them. */
static bool check_types(const struct missing *missing, struct buffer *sql, struct error *err) {
    for (uint32_t i = 0; i < missing->table->type_count; i++) {
        const struct table_type *type = &missing->table->types[i];
        bool has = type->create_sql != NULL && sql == NULL;
        if (!has && !has_type(missing, type, &has, err))
            return false;
        if (!has && (type->create_sql == NULL ? !add_type(missing, type, err)
                                              : !append_type(missing, type, sql, err)))
            return false;
    }
    return true;
}

/* As the copy would have created it, whichever role runs it now. */
static bool add_table(const struct missing *missing, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!append_schema(missing, missing->table->schema, &sql, err) || !check_types(missing, &sql, err))
        return false;
    table_sql_append(&sql, missing->table, missing->target->session->server_version);
    buffer_printf(&sql, ";\ngrant select, insert, update, delete, truncate on table %s to %s;", missing->name,
                  missing->target->role);
    const char *fix = buffer_text(&sql);
    if (fix == NULL)
        return error_no_memory(err);
    sink_check_add(missing->target->check, SINK_PROBLEM, "target_table",
                   "table %s is missing, and only the initial copy creates tables", missing->name);
    sink_check_fix(missing->target->check, "%s", fix);
    sink_check_object(missing->target->check, missing->name);
    return true;
}

bool target_check_missing(const struct target_check *target, const struct table *table, const char *name,
                          struct error *err) {
    const struct missing missing = {.target = target, .table = table, .name = name};
    if (!target->check->expects_copy)
        return target->check->is_refused || add_table(&missing, err);
    return check_creation(&missing, err) && check_types(&missing, NULL, err);
}
