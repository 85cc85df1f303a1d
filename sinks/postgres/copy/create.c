/* SPDX-License-Identifier: Apache-2.0 */
/*
 * create.c - creates the schema, the user-defined types and the table that the target lacks.
 *
 * Existing objects are not changed. table_sql.h describes a new table.
 */
#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/catalog/table_sql.h"
#include "sinks/postgres/copy/copy.h"

#define SQL_BYTES_MAX (4 << 20) /* 1600 columns with long names, types and expressions */

static const char SCHEMA_EXISTS[] = "select from pg_namespace where nspname = $1";
static const char TYPE_EXISTS[] = "select from pg_type t join pg_namespace n on n.oid = t.typnamespace where "
                                  "n.nspname = $1 and t.typname = $2";
static const char RELATION_KIND[] =
    "select c.relkind from pg_class c join pg_namespace n on n.oid = c.relnamespace"
    " where n.nspname = $1 and c.relname = $2";

static bool create_find(struct session *target, const char *sql, const char *schema, const char *name,
                        bool *ret_found, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *parameters[] = {schema, name};
    if (!session_query(target, sql, name != NULL ? 2 : 1, parameters,
                       &(const struct result_shape){"the query for a schema or type", 0, 1, 0, 0}, &result,
                       err))
        return false;
    *ret_found = PQntuples(result) > 0;
    return true;
}

/*
 * Asks first, because CREATE SCHEMA IF NOT EXISTS requires the right to create even when the schema exists.
 */
static bool create_schema(struct session *target, const char *schema, struct error *err) {
    bool found = false;
    if (!create_find(target, SCHEMA_EXISTS, schema, NULL, &found, err))
        return false;
    if (found)
        return true;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "create schema ");
    identifier_append(&sql, slice_of(schema));
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_execute(target, sql.data, err))
        return error_wrap(err, "schema \"%s\" (create it, or grant create on the database)", schema);
    return true;
}

static bool refuse_type(const struct table *table, const struct table_type *type, struct error *err) {
    if (type->extension != NULL)
        return error_set(
            err, ERROR_CONFIG,
            "column %s.%s.%s needs type %s.%s of extension \"%s\", which the target lacks: create "
            "extension \"%s\" with schema \"%s\" there",
            table->schema, table->name, type->column, type->schema, type->name, type->extension,
            type->extension, type->schema);
    return error_set(err, ERROR_CONFIG,
                     "column %s.%s.%s needs type %s.%s, which is missing on the target and cannot be created "
                     "from the catalog (only enum, domain and composite types can): create it there",
                     table->schema, table->name, type->column, type->schema, type->name);
}

static bool create_type(struct session *target, const struct table *table, const struct table_type *type,
                        struct error *err) {
    bool found = false;
    if (!create_find(target, TYPE_EXISTS, type->schema, type->name, &found, err))
        return false;
    if (found)
        return true;
    if (type->create_sql == NULL)
        return refuse_type(table, type, err);
    if (!create_schema(target, type->schema, err))
        return false;
    if (!session_execute(target, type->create_sql, err))
        return error_wrap(err, "type %s.%s, which column %s.%s.%s needs", type->schema, type->name,
                          table->schema, table->name, type->column);
    return true;
}

static bool create_table(struct session *target, const struct table *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    table_sql_append(&sql, table, target->server_version);
    if (buffer_text(&sql) == NULL && sql.lacks_memory)
        return error_no_memory(err);
    if (!buffer_ok(&sql))
        return error_set(err, ERROR_CONFIG, "table %s.%s is too wide to be created: create it on the target",
                         table->schema, table->name);
    if (session_execute(target, sql.data, err))
        return true;
    if (strcmp(err->sqlstate, "42501") == 0)
        error_finding(err, "target_schema");
    return error_wrap(err, "table %s.%s cannot be created on the target", table->schema, table->name);
}

static bool find_table(struct session *target, const struct table *table, bool *ret_found,
                       struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *parameters[] = {table->schema, table->name};
    if (!session_query(target, RELATION_KIND, 2, parameters,
                       &(const struct result_shape){"the query for a table", 0, 1, 1, 0}, &result, err))
        return false;
    *ret_found = PQntuples(result) > 0;
    if (*ret_found && strchr("rp", PQgetvalue(result, 0, 0)[0]) == NULL)
        return error_set(err, ERROR_CONFIG, "%s.%s on the target is not a table: rename it or drop it",
                         table->schema, table->name);
    return true;
}

bool postgres_create_table(struct target *sink, const struct table *table, struct error *err) {
    struct session *target = &sink->session;
    bool found = false;
    if (!find_table(target, table, &found, err))
        return false;
    if (found)
        return true;
    if (!create_schema(target, table->schema, err))
        return false;
    for (uint32_t i = 0; i < table->type_count; i++)
        if (!create_type(target, table, &table->types[i], err))
            return false;
    return create_table(target, table, err);
}
