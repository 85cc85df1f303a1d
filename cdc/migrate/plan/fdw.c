/* SPDX-License-Identifier: Apache-2.0 */
/*
 * fdw.c - SQL for the target that makes readable there what stays at the source.
 *
 * IMPORT FOREIGN SCHEMA asks the source for the columns when it runs, so that nothing is described twice. No
 * password is known here: it is a variable of psql.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/migrate/plan/plan.h"
#include "cdc/pq/identifier.h"

#define TEXT_BYTES_MAX ((size_t) 64 << 20)

/* A literal that is one line, whatever is in the text. */
static void append_literal(struct buffer *sql, const char *text) {
    bool has_controls = false;
    for (const char *at = text; *at != '\0'; at++)
        has_controls = has_controls || (unsigned char) *at < 0x20 || *at == 0x7F;
    if (!has_controls) {
        literal_append(sql, slice_of(text));
        return;
    }
    buffer_append_text(sql, "U&'");
    for (const char *at = text; *at != '\0'; at++)
        if ((unsigned char) *at < 0x20 || *at == 0x7F)
            buffer_printf(sql, "\\%04x", (unsigned) (unsigned char) *at);
        else
            buffer_printf(sql, *at == '\'' || *at == '\\' ? "%c%c" : "%c", *at, *at);
    buffer_append_text(sql, "'");
}

/* A partition is read through its root. */
static bool stays(const struct inventory_object *table) {
    return table->how == HOW_STAYS && strcmp(table->detail, "partition") != 0;
}

static void append_name(struct buffer *sql, const struct inventory_object *table) {
    identifier_append_printable_qualified(sql, slice_of(table->schema), slice_of(table->name));
}

static void append_head(struct buffer *sql, const struct plan *plan, const char *server) {
    const PGconn *source = plan->check->source.conn;
    buffer_printf(
        sql,
        "-- What stays at the source of pipeline %s, to be read at the target.\n"
        "-- Run it in the target's database, as a role that may create extensions and servers:\n"
        "--     psql -v ON_ERROR_STOP=1 TARGET\n"
        "--     \\set password `cat FILE`\n"
        "--     \\i THIS_FILE\n"
        "-- FILE holds the password of the role below at the source. The target keeps it in its catalog,\n"
        "-- and in its log if log_statement is ddl or all. The target's server connects, so host and port\n"
        "-- must be right as seen from there. The tables cannot be written through it.\n"
        "begin;\ncreate extension if not exists postgres_fdw;\n",
        plan->check->config->name);
    buffer_printf(sql, "create server if not exists %s foreign data wrapper postgres_fdw options (host ",
                  server);
    append_literal(sql, PQhost(source) != NULL ? PQhost(source) : "");
    buffer_append_text(sql, ", port ");
    append_literal(sql, PQport(source) != NULL ? PQport(source) : "5432");
    buffer_append_text(sql, ", dbname ");
    append_literal(sql, PQdb(source));
    buffer_printf(sql,
                  ", updatable 'false', truncatable 'false');\n"
                  "-- Other roles that shall read need a user mapping of their own.\n"
                  "create user mapping if not exists for current_user server %s options (user ",
                  server);
    append_literal(sql, PQuser(source));
    buffer_append_text(sql, ", password :'password');\n");
}

/* The schema was restored with them, perhaps. Whether they may go is not ours to say. */
static void append_drops(struct buffer *sql, const struct inventory_class *tables) {
    buffer_append_text(sql,
                       "-- A table of the same name is in the way. If the schema was restored with these, "
                       "and they are empty:\n");
    for (size_t i = 0; i < tables->count; i++)
        if (stays(&tables->objects[i])) {
            buffer_append_text(sql, "-- drop table ");
            append_name(sql, &tables->objects[i]);
            buffer_append_text(sql, ";\n");
        }
}

/* The tables of a schema follow one another. Returns the index after them. */
static size_t append_schema(struct buffer *sql, const struct inventory_class *tables, size_t first,
                            const char *server) {
    const struct slice schema = slice_of(tables->objects[first].schema);
    size_t i = first;
    buffer_append_text(sql, "create schema if not exists ");
    identifier_append_printable(sql, schema);
    buffer_append_text(sql, ";\nimport foreign schema ");
    identifier_append_printable(sql, schema);
    buffer_append_text(sql, " limit to (");
    for (; i < tables->count && strcmp(tables->objects[i].schema, schema.data) == 0; i++) {
        if (!stays(&tables->objects[i]))
            continue;
        buffer_append_text(sql, i > first ? ", " : "");
        identifier_append_printable(sql, slice_of(tables->objects[i].name));
    }
    buffer_printf(sql, ") from server %s into ", server);
    identifier_append_printable(sql, schema);
    buffer_append_text(sql, ";\n");
    return i;
}

static void append_imports(struct buffer *sql, const struct inventory_class *tables, const char *server) {
    for (size_t i = 0; i < tables->count;)
        i = stays(&tables->objects[i]) ? append_schema(sql, tables, i, server) : i + 1;
}

static bool has_any(const struct inventory_class *tables) {
    for (size_t i = 0; i < tables->count; i++)
        if (stays(&tables->objects[i]))
            return true;
    return false;
}

bool plan_print_fdw(struct plan *plan, FILE *file, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const struct inventory_class *tables = inventory_find(&plan->inventory, "tables");
    const char *server = plan_printf(plan, "\"%s_source\"", plan->check->config->name);
    if (!has_any(tables)) {
        fputs("-- Every table moves.\n", file);
        return true;
    }
    append_head(&sql, plan, server);
    append_drops(&sql, tables);
    append_imports(&sql, tables, server);
    buffer_append_text(&sql, "commit;\n");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    fputs(sql.data, file); /* main checks whether the output arrived */
    return true;
}
