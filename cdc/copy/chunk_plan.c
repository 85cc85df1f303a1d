/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_plan.c - reads samples, and makes the list of chunks.
 */
#include "cdc/copy/chunk_plan.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/copy/chunk_divider.h"
#include "cdc/copy/empty_tables.h"
#include "cdc/pq/identifier.h"

#define SQL_BYTES_MAX (1u << 20)
#define PAGE_BYTES 8192.0
#define CORRELATION_MIN "0.5"

enum {
    TABLE_CHUNKS_MAX = 16384,
    PAGES_A_CHUNK = 16, /* of the sample */
    PAGES_MIN = 400,
    PAGES_MAX = 100000,
    SCATTERED_CHUNKS_MIN = 4, /* a smaller table is read from the cache, whatever the order of its rows */
    /* a larger table is not asked whether it is empty: many dead rows may have to be read */
    EMPTY_BYTES_MAX = 1 << 20,
};

struct plan_maker {
    struct session *source;
    struct arena *arena;
    const struct chunk_plan_terms *terms;
    const char *snapshot; /* in arena */
    struct chunk *chunks;
    size_t count, capacity;
};

/* like: what the table's chunks have in common. */
static struct chunk *add_chunk(struct plan_maker *maker, const struct chunk *like) {
    if (maker->count == maker->capacity) {
        const size_t capacity = maker->capacity == 0 ? 64 : maker->capacity * 2;
        struct chunk *chunks = arena_alloc(maker->arena, capacity * sizeof *chunks);
        if (chunks == NULL)
            return NULL;
        if (maker->count > 0)
            memcpy(chunks, maker->chunks, maker->count * sizeof *chunks);
        maker->chunks = chunks;
        maker->capacity = capacity;
    }
    struct chunk *chunk = &maker->chunks[maker->count];
    *chunk = *like;
    chunk->id = (uint32_t) ++maker->count;
    return chunk;
}

/* ---- dividing ---- */

static uint64_t count_wanted(const struct plan_maker *maker, const struct table *table) {
    const uint64_t count =
        (table->bytes_estimate + maker->terms->chunk_bytes - 1) / maker->terms->chunk_bytes;
    return count < TABLE_CHUNKS_MAX ? count : TABLE_CHUNKS_MAX;
}

static double sample_percent(const struct table *table, uint64_t chunks) {
    double pages = (double) chunks * PAGES_A_CHUNK;
    const double all = (double) table->bytes_estimate / PAGE_BYTES + 1;
    pages = pages < PAGES_MIN ? PAGES_MIN : pages > PAGES_MAX ? PAGES_MAX : pages;
    return pages < all ? 100 * pages / all : 100;
}

/* The table may have been dropped since the list was read; the next attempt reads it again. */
static bool explain_sample(const struct table *table, struct error *err) {
    if (strcmp(err->sqlstate, "42P01") == 0)
        err->kind = ERROR_RETRY;
    return error_wrap(err, "planning the copy of table %s.%s", table->schema, table->name);
}

/* The row numbers count from 0, and the first value is no bound. */
static bool read_bounds(struct plan_maker *maker, const struct table *table, const char *column,
                        uint64_t wanted, PGresult **ret_bounds, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(
        &sql, "select distinct k, k::text from (select k, row_number() over (order by k) - 1 as place,"
              " count(*) over () as total from (select ");
    identifier_append(&sql, slice_of(column));
    buffer_append_text(&sql, " as k from ");
    buffer_append_text(&sql, table->kind == 'p' ? "" : "only ");
    identifier_append_qualified(&sql, slice_of(table->schema), slice_of(table->name));
    buffer_printf(&sql,
                  " tablesample system (%.6f) repeatable (1)) sample) numbered where place > 0 and"
                  " place %% greatest(total / %" PRIu64 ", 1) = 0 order by 1",
                  sample_percent(table, wanted), wanted);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_query(
               maker->source, sql.data, 0, NULL,
               &(const struct result_shape){"the query for a sample of keys", 0, RESULT_ROWS_ANY, 2, 0},
               ret_bounds, err) ||
           explain_sample(table, err);
}

static bool divide(struct plan_maker *maker, struct chunk *like, const PGresult *bounds, struct error *err) {
    const int count = PQntuples(bounds);
    const char *low = NULL;
    like->bytes_estimate /= (uint64_t) count + 1;
    for (int row = 0; row <= count; row++) {
        const char *high =
            row < count ? arena_copy(maker->arena, slice_of(PQgetvalue(bounds, row, 1))) : NULL;
        struct chunk *chunk = add_chunk(maker, like);
        if (chunk == NULL || (row < count && high == NULL))
            return error_no_memory(err);
        chunk->low = low;
        chunk->high = high;
        low = high;
    }
    return true;
}

static struct chunk chunk_of(const struct table *table) {
    return (struct chunk){.relation_oid = table->oid,
                          .schema = table->schema,
                          .table = table->name,
                          .bytes_estimate = table->bytes_estimate};
}

/*
 * A table without rows is copied as of the slot's snapshot: all of its changes apply from the start.
 */
static bool add_empty(struct plan_maker *maker, const struct table *table, struct error *err) {
    const struct chunk whole = chunk_of(table);
    struct chunk *chunk = add_chunk(maker, &whole);
    if (chunk == NULL)
        return error_no_memory(err);
    chunk->state = CHUNK_COPIED;
    chunk->snapshot = maker->snapshot;
    return true;
}

/*
 * Without a snapshot of their own: see CHUNK_BY_PAGES. The last one has no end, as the table may grow. Of a
 * partitioned table, a chunk is the same range of pages in each partition; a foreign partition has none.
 */
static bool divide_pages(struct plan_maker *maker, const struct table *table, uint64_t wanted,
                         struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct chunk like = chunk_of(table);
    char oid[16];
    snprintf(oid, sizeof oid, "%u", table->oid);
    const char *const values[] = {oid};
    if (!session_query(maker->source,
                       "select case when bool_or(c.relkind = 'f') then 0"
                       " else coalesce(max(pg_catalog.pg_relation_size(c.oid)), 0) end"
                       " / pg_catalog.current_setting('block_size')::bigint from pg_catalog.pg_class c"
                       " where c.oid = $1::oid or c.oid in (select relid from"
                       " pg_catalog.pg_partition_tree($1::oid) where isleaf)",
                       1, values, &(const struct result_shape){"the query for a table's pages", 1, 1, 1, 0},
                       &result, err))
        return false;
    const uint64_t pages = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    const uint64_t step = pages / wanted + 1;
    like.method = CHUNK_BY_PAGES;
    like.column = "ctid";
    like.order_sql = "pg_catalog.tid";
    like.bytes_estimate /= pages / step + 1;
    for (uint64_t page = 0; page <= pages; page += step) {
        char bound[32];
        snprintf(bound, sizeof bound, "(%" PRIu64 ",0)", page + step);
        like.high = page + step <= pages ? arena_copy(maker->arena, slice_of(bound)) : NULL;
        if ((page + step <= pages && like.high == NULL) || add_chunk(maker, &like) == NULL)
            return error_no_memory(err);
        like.low = like.high;
    }
    return true;
}

/*
 * Do the rows lie in another order than their keys, as random uuids do? Then each chunk by key reads pages
 * all over the table, and the copy reads the table many times.
 */
static bool is_scattered(struct plan_maker *maker, const struct table *table, const char *column,
                         bool *ret_scattered, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const values[] = {table->schema, table->name, column};
    if (!session_query(maker->source,
                       "select from pg_catalog.pg_stats where schemaname = $1 and tablename = $2"
                       " and attname = $3 and pg_catalog.abs(correlation) < " CORRELATION_MIN,
                       3, values, &(const struct result_shape){"the query for a correlation", 0, 1, 0, 0},
                       &result, err))
        return false;
    *ret_scattered = PQntuples(result) > 0;
    return true;
}

/* Is it divided by its pages, given how it can be divided by its key? */
static bool prefers_pages(struct plan_maker *maker, const struct table *table, const struct chunk *like,
                          uint64_t wanted, bool *ret_pages, struct error *err) {
    *ret_pages = like->method == CHUNK_WHOLE;
    if (wanted < 2 || maker->terms->replaces || maker->terms->by_key_only) {
        *ret_pages = false;
        return true;
    }
    *ret_pages = *ret_pages || (table->kind != 'p' && table->bytes_estimate <= maker->terms->by_pages_bytes);
    return *ret_pages || table->kind == 'p' || wanted < SCATTERED_CHUNKS_MIN ||
           is_scattered(maker, table, like->column, ret_pages, err);
}

static bool plan_table(struct plan_maker *maker, const struct table *table, struct error *err) {
    const struct chunk whole = chunk_of(table);
    struct chunk like = whole;
    const uint64_t wanted = count_wanted(maker, table);
    PGresult *bounds AUTO_PGRESULT = NULL;
    if (wanted > 1 && table->sink_takes_parts &&
        !chunk_divider_find(maker->source, table, maker->arena, &like, err))
        return false;
    if (like.method == CHUNK_BY_SOURCE && maker->terms->replaces)
        like = whole;
    bool by_pages = false;
    if (!prefers_pages(maker, table, &like, wanted, &by_pages, err))
        return false;
    if (by_pages)
        return divide_pages(maker, table, wanted, err);
    if (like.method == CHUNK_WHOLE)
        return add_chunk(maker, &like) != NULL ? true : error_no_memory(err);
    return read_bounds(maker, table, like.column, wanted, &bounds, err) && divide(maker, &like, bounds, err);
}

/* ---- all tables ---- */

static int compare_sizes(const void *a, const void *b) {
    const struct table *const *left = a;
    const struct table *const *right = b;
    const uint64_t left_bytes = (*left)->bytes_estimate, right_bytes = (*right)->bytes_estimate;
    return left_bytes != right_bytes ? (left_bytes < right_bytes) - (left_bytes > right_bytes)
                                     : ((*left)->oid > (*right)->oid) - ((*left)->oid < (*right)->oid);
}

static const struct table **sort_tables(const struct table_list *tables, struct arena *arena) {
    const struct table **sorted = arena_alloc(arena, (tables->count + 1) * sizeof *sorted);
    if (sorted == NULL)
        return NULL;
    for (size_t i = 0; i < tables->count; i++)
        sorted[i] = &tables->tables[i];
    qsort(sorted, tables->count, sizeof *sorted, compare_sizes);
    return sorted;
}

bool chunk_plan_make(struct session *source, const struct chunk_plan_terms *terms,
                     const struct table_list *tables, struct arena *arena, struct chunk_plan *ret_plan,
                     struct error *err) {
    struct plan_maker maker = {.source = source, .arena = arena, .terms = terms};
    const struct table **sorted = sort_tables(tables, arena);
    bool *is_empty = arena_alloc_zero(arena, (tables->count + 1) * sizeof *is_empty);
    maker.snapshot = arena_copy(arena, slice_of(terms->snapshot));
    *ret_plan = (struct chunk_plan){.snapshot = maker.snapshot};
    if (sorted == NULL || is_empty == NULL || maker.snapshot == NULL)
        return error_no_memory(err);
    if (strcmp(terms->snapshot, CHUNK_SNAPSHOT_OF_NONE) != 0 &&
        !empty_tables_find_unchanged(source, tables->tables, tables->count, EMPTY_BYTES_MAX, is_empty, err))
        return false;
    for (size_t i = 0; i < tables->count; i++)
        if (is_empty[sorted[i] - tables->tables] ? !add_empty(&maker, sorted[i], err)
                                                 : !plan_table(&maker, sorted[i], err))
            return false;
    ret_plan->chunks = maker.chunks;
    ret_plan->count = maker.count;
    return true;
}
