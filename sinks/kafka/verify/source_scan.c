/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_scan.c - a query whose rows are never held together; where expressions are computed, some are.
 */
#include "sinks/kafka/verify/source_scan.h"

#include <stdlib.h>

#include "cdc/pq/identifier.h"
#include "sinks/mapping/row_map.h"
#include "sinks/mapping/row_sql.h"

#define SQL_BYTES_MAX (4 << 20)

enum { BLOCK_BYTES = 64 * 1024, WAITING_MAX = 1000 };

#define ROW_BYTES_MAX ((size_t) 3 << 30)
#define WAITING_BYTES ((size_t) 4 << 20)

struct source_rows {
    const struct topic_table *table;
    struct read_rate *rate;
    struct value *values; /* by the source's columns */
    struct value *row;    /* by the relation's */
    struct arena arena;   /* of one row that is mapped */
    struct evaluator *evaluator;
    struct evaluator_row **waiting; /* rows whose expressions are computed together */
    size_t waiting_count;
    size_t waiting_bytes;
    struct arena waiting_arena;
    source_row_taker *take;
    void *context;
};

static bool source_rows_init(struct source_rows *rows) {
    const struct topic_table *table = rows->table;
    arena_init(&rows->arena, BLOCK_BYTES, ROW_BYTES_MAX);
    arena_init(&rows->waiting_arena, BLOCK_BYTES, ROW_BYTES_MAX);
    rows->waiting = calloc(WAITING_MAX, sizeof(struct evaluator_row *));
    rows->values = calloc((size_t) table->source->column_count + 1, sizeof *rows->values);
    rows->row = calloc((size_t) table->relation.column_count + 1, sizeof *rows->row);
    return rows->waiting != NULL && rows->values != NULL && rows->row != NULL;
}

static void source_rows_release(struct source_rows *rows) {
    free(rows->values);
    free(rows->row);
    free(rows->waiting);
    arena_release(&rows->arena);
    arena_release(&rows->waiting_arena);
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

/* The row as messages have it. values: by the source's columns, and after them those of expressions. */
static bool map_row(struct source_rows *rows, const struct value *values, struct error *err) {
    static const struct change READ = {.kind = CHANGE_READ};
    const struct topic_table *table = rows->table;
    arena_reset(&rows->arena);
    for (uint32_t i = 0; i < table->map.column_count; i++)
        if (!row_map_value(&table->map, i, table->source_columns, values, &READ, &rows->arena, &rows->row[i],
                           err))
            return false;
    return true;
}

static bool take_mapped(struct source_rows *rows, const struct value *values, struct error *err) {
    return map_row(rows, values, err) && rows->take(rows->context, rows->row, err);
}

/* ---- rows with expressions ---- */

static bool compute_waiting(struct source_rows *rows, struct error *err) {
    if (rows->waiting_count > 0 && !row_sql_run_rows(rows->evaluator, &rows->table->map, rows->waiting,
                                                     rows->waiting_count, &rows->waiting_arena, err))
        return false;
    for (size_t i = 0; i < rows->waiting_count; i++)
        if (rows->waiting[i]->passes && !take_mapped(rows, rows->waiting[i]->values, err))
            return false;
    arena_reset(&rows->waiting_arena);
    rows->waiting_count = 0;
    rows->waiting_bytes = 0;
    return true;
}

/* The row's values, with room for the results after them. */
static struct value *copy_values(struct source_rows *rows) {
    const struct table_map *map = &rows->table->map;
    const size_t count = rows->table->source->column_count;
    struct value *values =
        arena_alloc_zero(&rows->waiting_arena, (count + map->expressions->count + 1) * sizeof *values);
    for (size_t i = 0; i < count && values != NULL; i++) {
        values[i] = rows->values[i];
        if (values[i].kind != VALUE_TEXT)
            continue;
        values[i].data = arena_copy(&rows->waiting_arena, value_slice(&rows->values[i]));
        if (values[i].data == NULL)
            return NULL;
    }
    return values;
}

static bool wait_row(struct source_rows *rows, uint64_t bytes, struct error *err) {
    struct evaluator_row *row = arena_alloc_zero(&rows->waiting_arena, sizeof *row);
    struct value *values = copy_values(rows);
    if (row == NULL || values == NULL)
        return error_no_memory(err);
    *row = (struct evaluator_row){.values = values,
                                  .wanted = row_sql_wanted(rows->table->map.expressions),
                                  .results = values + rows->table->source->column_count};
    rows->waiting[rows->waiting_count++] = row;
    rows->waiting_bytes += bytes;
    return (rows->waiting_count < WAITING_MAX && rows->waiting_bytes < WAITING_BYTES) ||
           compute_waiting(rows, err);
}

/* ---- the query ---- */

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
    if (!read_rate_spend(rows->rate, bytes, err))
        return false;
    if (rows->table->map.expressions != NULL)
        return wait_row(rows, bytes, err);
    return is_mapped ? take_mapped(rows, rows->values, err) : rows->take(rows->context, rows->row, err);
}

bool source_scan(struct session *source, struct evaluator *evaluator, const struct topic_table *table,
                 struct read_rate *rate, source_row_taker *take, void *context, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct source_rows rows AUTO(source_rows_release) = {
        .table = table, .rate = rate, .evaluator = evaluator, .take = take, .context = context};
    const int count = append_select(&sql, table->source);
    if (!source_rows_init(&rows) || buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const struct result_shape shape = {"the query for its rows", 0, RESULT_ROWS_ANY, count,
                                       RESULT_NULL_ANYWHERE};
    return (session_query_rows(source, sql.data, 0, NULL, &shape, take_row, &rows, err) &&
            compute_waiting(&rows, err)) ||
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
