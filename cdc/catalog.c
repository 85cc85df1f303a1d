/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog.c - reads the published tables: three queries (tables, columns, types), put together in the arena.
 *
 * Columns and types come ordered by table OID, tables by name; so each table finds its run of rows by looking for
 * its first one.
 */
#include "cdc/catalog.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/catalog_sql.h"
#include "cdc/pq/lock_wait.h"
#include "decoder/builtin_type.h"

#define SQL_BYTES_MAX 32768

/* What the three queries returned, and where it goes. */
struct catalog_reading {
    PGresult *tables;
    PGresult *columns;
    PGresult *types;
    struct arena *arena;
    bool failed; /* the arena is exhausted */
};

static bool is_true(const PGresult *result, int row, int field) {
    return PQgetvalue(result, row, field)[0] == 't';
}

static oid_t get_oid(const PGresult *result, int row, int field) {
    return (oid_t) strtoul(PQgetvalue(result, row, field), NULL, 10);
}

/* A copy in the arena; NULL for NULL, and when the arena is exhausted, which is remembered. */
static const char *get_text(struct catalog_reading *reading, const PGresult *result, int row, int field) {
    if (PQgetisnull(result, row, field))
        return NULL;
    const char *text = arena_copy(reading->arena, slice_of(PQgetvalue(result, row, field)));
    if (text == NULL)
        reading->failed = true;
    return text;
}

static void *get_array(struct catalog_reading *reading, size_t count, size_t size) {
    void *array = arena_alloc_zero(reading->arena, count * size);
    if (array == NULL)
        reading->failed = true;
    return array;
}

/* The rows of result, ordered by their first field, that belong to the table. */
static int find_run(const PGresult *result, oid_t oid, int *ret_count) {
    int low = 0, high = PQntuples(result);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (get_oid(result, middle, 0) < oid)
            low = middle + 1;
        else
            high = middle;
    }
    int end = low;
    while (end < PQntuples(result) && get_oid(result, end, 0) == oid)
        end++;
    *ret_count = end - low;
    return low;
}

static struct table_column take_column(struct catalog_reading *reading, int row) {
    const PGresult *columns = reading->columns;
    return (struct table_column){
        .name = get_text(reading, columns, row, 1),
        .type_oid = get_oid(columns, row, 2),
        .type_schema = get_text(reading, columns, row, 3),
        .type_name = get_text(reading, columns, row, 4),
        .type_modifier = (int32_t) strtol(PQgetvalue(columns, row, 5), NULL, 10),
        .base_modifier = (int32_t) strtol(PQgetvalue(columns, row, 15), NULL, 10),
        .type_sql = get_text(reading, columns, row, 6),
        .generated = PQgetvalue(columns, row, 7)[0],
        .generated_sql = get_text(reading, columns, row, 8),
        .identity = PQgetvalue(columns, row, 9)[0],
        .collation_sql = get_text(reading, columns, row, 10),
        .not_null = is_true(columns, row, 11),
        .published = is_true(columns, row, 12),
        .key_index = (uint32_t) strtoul(PQgetvalue(columns, row, 13), NULL, 10),
        .in_identity = is_true(columns, row, 14),
    };
}

static void take_columns(struct catalog_reading *reading, struct table *table) {
    int count = 0;
    int first = find_run(reading->columns, table->oid, &count);
    struct table_column *columns = get_array(reading, (size_t) count, sizeof *columns);
    for (int i = 0; i < count && !reading->failed; i++)
        columns[i] = take_column(reading, first + i);
    table->columns = columns;
    table->column_count = (uint32_t) count;
}

static void take_types(struct catalog_reading *reading, struct table *table) {
    int count = 0;
    int first = find_run(reading->types, table->oid, &count);
    struct table_type *types = get_array(reading, (size_t) count, sizeof *types);
    for (int i = 0; i < count && !reading->failed; i++)
        types[i] = (struct table_type){
            .schema = get_text(reading, reading->types, first + i, 1),
            .name = get_text(reading, reading->types, first + i, 2),
            .create_sql = get_text(reading, reading->types, first + i, 3),
            .extension = get_text(reading, reading->types, first + i, 4),
            .column = get_text(reading, reading->types, first + i, 5),
        };
    table->types = types;
    table->type_count = (uint32_t) count;
}

static void take_table(struct catalog_reading *reading, int row, struct table *table) {
    const PGresult *tables = reading->tables;
    *table = (struct table){
        .oid = get_oid(tables, row, 0),
        .schema = get_text(reading, tables, row, 1),
        .name = get_text(reading, tables, row, 2),
        .kind = PQgetvalue(tables, row, 3)[0],
        .identity = PQgetvalue(tables, row, 4)[0],
        .row_filter_sql = get_text(reading, tables, row, 5),
        .row_estimate = strtod(PQgetvalue(tables, row, 6), NULL),
        .bytes_estimate = strtoull(PQgetvalue(tables, row, 7), NULL, 10),
        .key_count = (uint32_t) strtoul(PQgetvalue(tables, row, 8), NULL, 10),
        .key_is_deferrable = is_true(tables, row, 9),
    };
    take_columns(reading, table);
    take_types(reading, table);
}

static bool take_tables(struct catalog_reading *reading, struct table_list *ret_list, struct error *err) {
    int count = PQntuples(reading->tables);
    struct table *tables = get_array(reading, (size_t) count, sizeof *tables);
    for (int i = 0; i < count && !reading->failed; i++)
        take_table(reading, i, &tables[i]);
    if (reading->failed)
        return error_set(err, ERROR_SYSTEM, "no memory for the definitions of %d published tables", count);
    *ret_list = (struct table_list){.tables = tables, .count = (size_t) count};
    return true;
}

static bool check_publications(struct session *source, const char *publications, struct error *err) {
    static const char MISSING[] = "select quote_ident(named) from unnest($1::name[]) named"
                                  " where named not in (select pubname from pg_publication) limit 1";
    PGresult *missing AUTO_PGRESULT = NULL;
    PGresult *differing AUTO_PGRESULT = NULL;
    if (!session_query(source, MISSING, 1, &publications, &missing, err))
        return false;
    if (PQntuples(missing) > 0)
        return error_set(err, ERROR_CONFIG, "publication %s does not exist at the %s",
                         PQgetvalue(missing, 0, 0), source->peer);
    if (source->server_version < 150000)
        return true;
    if (!session_query(source, LISTS_DIFFER, 1, &publications, &differing, err))
        return false;
    if (PQntuples(differing) > 0)
        return error_set(
            err, ERROR_CONFIG,
            "table %s has different column lists in the pipeline's publications; give it the same list in "
            "each of them",
            PQgetvalue(differing, 0, 0));
    return true;
}

/* What the tables are asked for by: the head of the queries, and its $1. */
struct selection {
    const char *head;
    const char *parameter;
};

/* pg_get_expr, pg_table_size, pg_partition_tree and, from 15 on, pg_publication_tables wait for the table's lock. */
#define LOCK_LIMIT "set lock_timeout = '1s'"
#define NO_LOCK_LIMIT "set lock_timeout = 0"

static bool run_query(struct session *source, const struct selection *selection, const char *extra,
                      const char *body, PGresult **ret_result, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, selection->head);
    buffer_append_text(&sql, extra);
    buffer_append_text(&sql, body);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_query(source, sql.data, 1, &selection->parameter, ret_result, err);
}

static bool read_quickly(struct session *source, const struct selection *selection, struct arena *arena,
                         struct table_list *ret_list, struct error *err) {
    PGresult *tables AUTO_PGRESULT = NULL;
    PGresult *columns AUTO_PGRESULT = NULL;
    PGresult *types AUTO_PGRESULT = NULL;
    if (!run_query(source, selection, "", TABLES, &tables, err) ||
        !run_query(source, selection, INCLUDED, COLUMNS, &columns, err) ||
        !run_query(source, selection, INCLUDED, TYPES, &types, err))
        return false;
    struct catalog_reading reading = {.tables = tables, .columns = columns, .types = types, .arena = arena};
    return take_tables(&reading, ret_list, err);
}

static bool read_selection(struct session *source, const struct selection *selection, struct arena *arena,
                           struct table_list *ret_list, struct error *err) {
    struct error ignored = {0};
    if (!session_execute(source, LOCK_LIMIT, err))
        return false;
    bool read = read_quickly(source, selection, arena, ret_list, err) || lock_wait_explain(source, err);
    /* Not in a transaction that has failed, which its owner will end. */
    return session_execute(source, NO_LOCK_LIMIT, read ? err : &ignored) && read;
}

bool catalog_read_tables(struct session *source, const char *publications, struct arena *arena,
                         struct table_list *ret_list, struct error *err) {
    const struct selection selection = {
        .head = source->server_version >= 150000 ? PUBLISHED_15 : PUBLISHED_14, .parameter = publications};
    return check_publications(source, publications, err) &&
                   read_selection(source, &selection, arena, ret_list, err)
               ? true
               : error_wrap(err, "reading the published tables");
}

bool catalog_read_oids(struct session *source, const char *oids, struct arena *arena,
                       struct table_list *ret_list, struct error *err) {
    const struct selection selection = {.head = NAMED, .parameter = oids};
    return read_selection(source, &selection, arena, ret_list, err)
               ? true
               : error_wrap(err, "reading the definitions of the tables");
}

bool catalog_read_portable(struct session *source, const char *publications, bool *ret_portable,
                           struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *sql = source->server_version >= 180000   ? COLUMN_TYPES_18
                      : source->server_version >= 150000 ? COLUMN_TYPES_15
                                                         : COLUMN_TYPES_14;
    if (!session_query(source, sql, 1, &publications, &result, err))
        return error_wrap(err, "reading the types of the published columns");
    *ret_portable = true;
    for (int row = 0; row < PQntuples(result); row++)
        *ret_portable = *ret_portable && builtin_type_is_portable(get_oid(result, row, 0));
    return true;
}
