/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_scan.c - a query whose rows are never held together.
 */
#include "sinks/kafka/verify/source_scan.h"

#include <stdlib.h>

#include "cdc/pq/identifier.h"
#include "sinks/mapping/row_map.h"

#define SQL_BYTES_MAX (4 << 20)

enum { BLOCK_BYTES = 64 * 1024 };

#define ROW_BYTES_MAX ((size_t) 3 << 30)

struct source_rows {
    const struct topic_table *table;
    struct read_rate *rate;
    struct value *values; /* by the source's columns */
    struct value *row;    /* by the relation's */
    struct arena arena;   /* of one row that is mapped */
    source_row_taker *take;
    void *context;
};

static bool source_rows_init(struct source_rows *rows) {
    const struct topic_table *table = rows->table;
    arena_init(&rows->arena, BLOCK_BYTES, ROW_BYTES_MAX);
    rows->values = calloc((size_t) table->source->column_count + 1, sizeof *rows->values);
    rows->row = calloc((size_t) table->relation.column_count + 1, sizeof *rows->row);
    return rows->values != NULL && rows->row != NULL;
}

static void source_rows_release(struct source_rows *rows) {
    free(rows->values);
    free(rows->row);
    arena_release(&rows->arena);
}

/* The rows of a partitioned table are in its partitions; the children of another are tables of their own. */
static void append_from(struct buffer *sql, const struct table *table) {
    buffer_append_text(sql, table->kind == 'p' ? " from " : " from only ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
}

/* Returns the number of columns. */
static int append_select(struct buffer *sql, const struct table *source) {
    int count = 0;
    buffer_append_text(sql, "select ");
    for (uint32_t i = 0; i < source->column_count; i++) {
        if (!table_column_is_copied(&source->columns[i]))
            continue;
        buffer_append_text(sql, count++ > 0 ? ", " : "");
        identifier_append(sql, slice_of(source->columns[i].name));
    }
    append_from(sql, source);
    if (source->row_filter_sql != NULL)
        buffer_printf(sql, " where (%s)", source->row_filter_sql);
    return count;
}

/* The row as messages have it. */
static bool map_row(struct source_rows *rows, struct error *err) {
    static const struct change READ = {.kind = CHANGE_READ};
    const struct topic_table *table = rows->table;
    arena_reset(&rows->arena);
    for (uint32_t i = 0; i < table->map.column_count; i++)
        if (!row_map_value(&table->map, i, table->source_columns, rows->values, &READ, &rows->arena,
                           &rows->row[i], err))
            return false;
    return true;
}

static bool take_row(void *context, const PGresult *row, struct error *err) {
    struct source_rows *rows = context;
    const struct table *source = rows->table->source;
    const bool is_mapped = rows->table->map.rule != NULL;
    uint64_t bytes = 0;
    int field = 0;
    for (uint32_t i = 0; i < source->column_count; i++) {
        struct value *value = &rows->values[i];
        *value = (struct value){.kind = VALUE_NULL};
        if (!table_column_is_copied(&source->columns[i]))
            continue;
        if (PQgetisnull(row, 0, field) == 0)
            *value = (struct value){.data = PQgetvalue(row, 0, field),
                                    .size = (uint32_t) PQgetlength(row, 0, field),
                                    .kind = VALUE_TEXT};
        bytes += value->size;
        if (!is_mapped)
            rows->row[field] = *value;
        field++;
    }
    return (!is_mapped || map_row(rows, err)) && read_rate_spend(rows->rate, bytes, err) &&
           rows->take(rows->context, rows->row, err);
}

bool source_scan(struct session *source, const struct topic_table *table, struct read_rate *rate,
                 source_row_taker *take, void *context, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct source_rows rows AUTO(source_rows_release) = {
        .table = table, .rate = rate, .take = take, .context = context};
    const int count = append_select(&sql, table->source);
    if (!source_rows_init(&rows) || buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const struct result_shape shape = {"the query for its rows", 0, RESULT_ROWS_ANY, count,
                                       RESULT_NULL_ANYWHERE};
    return session_query_rows(source, sql.data, 0, NULL, &shape, take_row, &rows, err) ||
           error_wrap(err, "reading %s.%s", table->source->schema, table->source->name);
}

/* The catalog is read in the snapshot, the functions know the present. */
static const char IS_WHOLE[] =
    "with recursive tree as (select $1::pg_catalog.oid as oid"
    " union all select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid"
    " join pg_catalog.pg_class p on p.oid = tree.oid and p.relkind = 'p')"
    " select count(c.oid) = count(*) and coalesce(bool_and(c.relfilenode = 0"
    " or pg_catalog.pg_relation_filenode(c.oid) is not distinct from c.relfilenode), false)"
    " and (select count(*) from pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass))"
    " in (0, count(*)) from tree left join pg_catalog.pg_class c on c.oid = tree.oid";

bool source_hold(struct session *source, const struct topic_table *table, bool *ret_whole,
                 struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16];
    const char *const parameters[] = {oid};
    buffer_append_text(&sql, "select");
    append_from(&sql, table->source);
    buffer_append_text(&sql, " limit 0");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(source, sql.data, 0, NULL, &(const struct result_shape){"the lock", 0, 0, 0, 0},
                       &result, err))
        return false;
    PQclear(result);
    result = NULL;
    snprintf(oid, sizeof oid, "%u", table->source->oid);
    if (!session_query(source, IS_WHOLE, 1, parameters,
                       &(const struct result_shape){"the query for its file", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_whole = result_is_true(result, 0, 0);
    return true;
}
