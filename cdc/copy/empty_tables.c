/* SPDX-License-Identifier: Apache-2.0 */
/*
 * empty_tables.c - asks for the tables without rows, and which of them have the file that the snapshot knows.
 */
#include "cdc/copy/empty_tables.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

#define SQL_BYTES_MAX ((size_t) 64 << 20)

static void append_question(struct buffer *sql, const struct table *table, size_t place) {
    buffer_printf(sql, "%sselect %zu where not exists (select from %s", sql->size > 0 ? " union all " : "",
                  place, table->kind == 'p' ? "" : "only ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    buffer_append_text(sql, ")");
}

/* In a savepoint: a table that may not be read is reported when it is copied. */
static bool ask(struct session *source, const char *sql, PGresult **ret_empty, struct error *err) {
    struct error refused;
    if (!session_execute(source, "savepoint pgcdc", err))
        return false;
    if (session_query(source, sql, 0, NULL,
                      &(const struct result_shape){"the query for empty tables", 0, EMPTY_TABLES_MAX, 1, 0},
                      ret_empty, &refused))
        return session_execute(source, "release savepoint pgcdc", err);
    if (refused.sqlstate[0] != '\0')
        return session_execute(source, "rollback to savepoint pgcdc; release savepoint pgcdc", err);
    *err = refused;
    return false;
}

bool empty_tables_find(struct session *source, const struct table *tables, size_t count, uint64_t bytes_max,
                       bool *ret_is_empty, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *empty AUTO_PGRESULT = NULL;
    for (size_t i = 0; i < count; i++) {
        ret_is_empty[i] = false;
        if (tables[i].row_filter_sql == NULL && tables[i].bytes_estimate <= bytes_max)
            append_question(&sql, &tables[i], i);
    }
    if (sql.size == 0)
        return true;
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!ask(source, sql.data, &empty, err))
        return false;
    for (int row = 0; empty != NULL && row < PQntuples(empty); row++) {
        const unsigned long place = strtoul(PQgetvalue(empty, row, 0), NULL, 10);
        if (place < count)
            ret_is_empty[place] = true;
    }
    return true;
}

/* pg_class is read in the snapshot; pg_relation_filenode and to_regclass answer for now. */
static bool find_unchanged(struct session *source, const char *oids, PGresult **ret_unchanged,
                           struct error *err) {
    static const char SQL[] =
        "select c.oid from pg_catalog.pg_class c join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where c.oid = any ($1::oid[]) and c.relkind = 'r'"
        " and c.relfilenode = pg_catalog.pg_relation_filenode(c.oid)"
        " and pg_catalog.to_regclass(pg_catalog.format('%I.%I', n.nspname, c.relname)) = c.oid";
    const char *const values[] = {oids};
    return session_query(
        source, SQL, 1, values,
        &(const struct result_shape){"the query for unchanged tables", 0, EMPTY_TABLES_MAX, 1, 0},
        ret_unchanged, err);
}

static bool contains(const PGresult *oids, oid_t oid) {
    for (int row = 0; row < PQntuples(oids); row++)
        if (strtoul(PQgetvalue(oids, row, 0), NULL, 10) == oid)
            return true;
    return false;
}

static bool keep_unchanged(struct session *source, const struct table *tables, size_t count, bool *is_empty,
                           struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *unchanged AUTO_PGRESULT = NULL;
    for (size_t i = 0; i < count; i++)
        if (is_empty[i])
            buffer_printf(&oids, oids.size > 0 ? ",%u" : "{%u", tables[i].oid);
    if (oids.size == 0)
        return true;
    buffer_append_text(&oids, "}");
    if (buffer_text(&oids) == NULL)
        return error_no_memory(err);
    if (!find_unchanged(source, oids.data, &unchanged, err))
        return false;
    for (size_t i = 0; i < count; i++)
        is_empty[i] = is_empty[i] && contains(unchanged, tables[i].oid);
    return true;
}

bool empty_tables_find_unchanged(struct session *source, const struct table *tables, size_t count,
                                 uint64_t bytes_max, bool *ret_is_empty, struct error *err) {
    for (size_t first = 0; first < count; first += EMPTY_TABLES_MAX) {
        const size_t left = count - first;
        const size_t asked = left < EMPTY_TABLES_MAX ? left : EMPTY_TABLES_MAX;
        if (!empty_tables_find(source, tables + first, asked, bytes_max, ret_is_empty + first, err) ||
            !keep_unchanged(source, tables + first, asked, ret_is_empty + first, err))
            return false;
    }
    return true;
}
