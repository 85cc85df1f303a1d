/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_catalog.c - asks the target's catalog.
 */
#include "sinks/postgres/target_catalog.h"

#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/buffer.h"
#include "sinks/postgres/target_catalog_sql.h"

#define LIST_BYTES_MAX (1024u * 1024u) /* hundreds of names */

static void append_name(struct buffer *list, struct slice name) {
    buffer_append_u8(list, '"');
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            buffer_append_u8(list, '\\');
        buffer_append_u8(list, (uint8_t) name.data[i]);
    }
    buffer_append_u8(list, '"');
}

bool target_catalog_read_tables(struct session *session, const struct relation *const *relations,
                                size_t count, PGresult **ret_tables, struct error *err) {
    struct buffer schemas AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    struct buffer names AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    for (size_t i = 0; i < count; i++) {
        buffer_append_u8(&schemas, i == 0 ? '{' : ',');
        append_name(&schemas, relations[i]->schema);
        buffer_append_u8(&names, i == 0 ? '{' : ',');
        append_name(&names, relations[i]->name);
    }
    buffer_append_u8(&schemas, '}');
    buffer_append_u8(&names, '}');
    const char *const lists[] = {buffer_text(&schemas), buffer_text(&names)};
    if (lists[0] == NULL || lists[1] == NULL)
        return error_no_memory(err);
    return session_query(session, FIND_TABLES, 2, lists, ret_tables, err);
}

/* A missing table keeps its place with an OID that none has. */
static bool ask_by_oid(struct session *session, const char *sql, const PGresult *tables, PGresult **ret_rows,
                       struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    for (int i = 0; i < PQntuples(tables); i++)
        buffer_printf(&oids, "%c%s", i == 0 ? '{' : ',',
                      PQgetisnull(tables, i, TABLE_OID) ? "0" : PQgetvalue(tables, i, TABLE_OID));
    buffer_append_u8(&oids, '}');
    const char *const list = buffer_text(&oids);
    return list != NULL ? session_query(session, sql, 1, &list, ret_rows, err) : error_no_memory(err);
}

static bool has_full(const struct relation *const *relations, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (relations[i]->identity == REPLICA_IDENTITY_FULL)
            return true;
    return false;
}

bool target_catalog_read(struct target_catalog *catalog, struct session *session,
                         const struct relation *const *relations, size_t count, struct error *err) {
    *catalog = (struct target_catalog){0};
    return target_catalog_read_tables(session, relations, count, &catalog->tables, err) &&
           ask_by_oid(session, FIND_COLUMNS, catalog->tables, &catalog->columns, err) &&
           (!has_full(relations, count) ||
            (ask_by_oid(session, FIND_KEYS, catalog->tables, &catalog->keys, err) &&
             ask_by_oid(session, FIND_INDEXED, catalog->tables, &catalog->indexed, err)));
}

void target_catalog_release(struct target_catalog *catalog) {
    session_clear_result(&catalog->tables);
    session_clear_result(&catalog->columns);
    session_clear_result(&catalog->keys);
    session_clear_result(&catalog->indexed);
}

/* The place is the first column of each. */
static int first_row(const PGresult *result, size_t place) {
    int low = 0, high = PQntuples(result);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strtoul(PQgetvalue(result, middle, 0), NULL, 10) < place)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

struct row_range target_catalog_rows(const PGresult *result, size_t place) {
    return (struct row_range){.first = first_row(result, place), .end = first_row(result, place + 1)};
}

bool target_catalog_find_unlogged(struct session *session, const char *schema, const char *name,
                                  PGresult **ret_name, struct error *err) {
    const char *const values[] = {schema, name};
    return session_query(session, FIND_UNLOGGED, 2, values, ret_name, err);
}
