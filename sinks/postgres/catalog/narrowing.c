/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrowing.c - compares the types of each column, before its first value arrives.
 */
#include "sinks/postgres/catalog/narrowing.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "decoder/builtin_type.h"
#include "sinks/postgres/catalog/target_catalog.h"

#define OIDS_BYTES_MAX 65536u

bool narrowing_read_option(const struct sink_config *config, bool *ret_allowed, struct error *err) {
    const char *value = sink_config_find(config, "narrowing");
    *ret_allowed = value != NULL && strcmp(value, "allow") == 0;
    if (value == NULL || *ret_allowed || strcmp(value, "refuse") == 0)
        return true;
    error_set(err, ERROR_CONFIG, "narrowing: expected refuse or allow");
    return error_option(err, "narrowing");
}

/*
 * Sets the server's SQLSTATE for a type mismatch, by which the engine finds the statement that `pgcdc check`
 * prints.
 */
static bool is_mismatch(struct error *err) {
    memcpy(err->sqlstate, "42804", sizeof err->sqlstate);
    return false;
}

bool narrowing_check_copy(struct session *session, const struct table *table, struct error *err) {
    PGresult *shapes AUTO_PGRESULT = NULL;
    if (!type_shapes_read_table(session, table->schema, table->name, &shapes, err))
        return false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        int row = type_shapes_find(shapes, 0, PQntuples(shapes), slice_of(column->name));
        if (row < 0 || !table_column_is_copied(column) || column->is_cast ||
            strcmp(PQgetvalue(shapes, row, SHAPE_SQL), column->type_sql) == 0)
            continue;
        const struct type_shape source = type_shape_of_table_column(column);
        const struct type_shape target = type_shape_of_row(shapes, row);
        if (!type_fits(&source, &target))
            return error_set(err, ERROR_CONFIG,
                             "column \"%s\".\"%s\".\"%s\" is %s on the target and %s at the source, which "
                             "can change values "
                             "silently; give it the source's type, or allow it with the sink's option "
                             "narrowing: allow",
                             table->schema, table->name, column->name, PQgetvalue(shapes, row, SHAPE_SQL),
                             column->type_sql) ||
                   is_mismatch(err);
    }
    return true;
}

static bool refuse_column(struct session *session, const struct target_table *table, uint32_t column,
                          const char *target_type, struct error *err) {
    PGresult *name AUTO_PGRESULT = NULL;
    const struct column *source = &table->relation->columns[column];
    char oid[16], modifier[16];
    snprintf(oid, sizeof oid, "%u", source->type_oid);
    snprintf(modifier, sizeof modifier, "%d", source->type_modifier);
    const char *const parameters[] = {oid, modifier};
    if (!session_query(session, "select pg_catalog.format_type($1, $2)", 2, parameters,
                       &(const struct result_shape){"the query for a type", 1, 1, 1, 0}, &name, err))
        return false;
    bool is_known = source->type_oid < BUILTIN_TYPE_FIXED_END;
    return error_set(err, ERROR_DATA,
                     "target: column %s of table %s is %s, at the source %s, which can change values "
                     "silently; give it the "
                     "source's type, or allow it with the sink's option narrowing: allow",
                     table->columns[column].name, table->name, target_type,
                     is_known ? PQgetvalue(name, 0, 0) : source->type_name.data) ||
           is_mismatch(err);
}

static bool check_table(struct session *session, const struct target_table *table, const PGresult *shapes,
                        struct row_range rows, struct error *err) {
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct column *column = &table->relation->columns[i];
        int row = type_shapes_find(shapes, rows.first, rows.end, column->name);
        if (row < 0 || !table->columns[i].is_written || column->is_cast)
            continue;
        const struct type_shape source = type_shape_of_column(column);
        const struct type_shape target = type_shape_of_row(shapes, row);
        if (!type_fits(&source, &target))
            return refuse_column(session, table, i, PQgetvalue(shapes, row, SHAPE_SQL), err);
    }
    return true;
}

static bool has_other_type(const struct target_table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written && !table->columns[i].is_same_type)
            return true;
    return false;
}

bool narrowing_check_stream(struct session *session, struct target_table *const *tables, size_t count,
                            size_t *ret_failed, struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = OIDS_BYTES_MAX};
    PGresult *shapes AUTO_PGRESULT = NULL;
    bool has_other = false;
    *ret_failed = 0;
    for (size_t i = 0; i < count; i++) {
        bool is_other = has_other_type(tables[i]);
        has_other |= is_other;
        /* 0 keeps the place of a table whose types are the same and need no query. */
        buffer_printf(&oids, "%c%u", i == 0 ? '{' : ',', is_other ? tables[i]->oid : 0);
    }
    if (!has_other)
        return true;
    buffer_append_text(&oids, "}");
    const char *list = buffer_text(&oids);
    if (list == NULL)
        return error_no_memory(err);
    if (!type_shapes_read(session, list, &shapes, err))
        return false;
    for (; *ret_failed < count; ++*ret_failed)
        if (!check_table(session, tables[*ret_failed], shapes, target_catalog_rows(shapes, *ret_failed + 1),
                         err))
            return false;
    return true;
}
