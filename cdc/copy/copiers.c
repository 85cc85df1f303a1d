/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copiers.c - starts and ends the copiers, and reads what they share.
 */
#include "cdc/copy/copiers.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/base/start_over.h"
#include "cdc/copy/chunk_divider.h"
#include "cdc/copy/chunk_parts.h"
#include "cdc/copy/chunk_plan.h"
#include "cdc/copy/copier.h"
#include "cdc/copy/held.h"
#include "cdc/copy/pin.h"
#include "cdc/source/source.h"

enum { BLOCK_BYTES = 64 * 1024, REPORT_MS = 60000, LOCKED_PAUSE_MS = 200 };

/*
 * In a migration: such a table gets its key after its rows. Until they are copied the stream waits at its
 * changes, and an interruption copies all of it again.
 */
#define BY_PAGES_BYTES ((uint64_t) 1 << 30)

#define RELAYED_BYTES_MAX ((uint64_t) 8 << 20)
#define ARENA_BYTES_MAX ((size_t) 512 << 20)
#define OIDS_BYTES_MAX ((size_t) 64 << 20)

/* ---- the plan ---- */

struct planning {
    struct session source;
    struct arena arena;
    struct pin pin;
    struct table_list list;
    struct chunk_plan plan;
};

static void planning_release(struct planning *planning) {
    session_close(&planning->source);
    pin_release(&planning->pin);
    arena_release(&planning->arena);
    heap_trim(); /* a large catalog's memory is not needed again */
}

static bool find_parts(struct session *source, struct sink *sink, struct table *tables, size_t count,
                       struct error *err) {
    if (!sink_is_relayed(sink->ops))
        return sink->ops->copy->begin(sink, tables, count, err) &&
               sink->ops->chunk->find_parts(sink, tables, count, err);
    held_tell(sink, tables, count);
    return chunk_parts_find(source, sink, tables, count, err);
}

/* The sink sets a flag of each table, so they are copied. */
static bool prepare_sink(struct planning *planning, struct sink *sink, struct error *err) {
    const struct table_list *list = &planning->list;
    struct table *tables = arena_alloc(&planning->arena, (list->count + 1) * sizeof *tables);
    if (tables == NULL)
        return error_no_memory(err);
    memcpy(tables, list->tables, list->count * sizeof *tables);
    planning->list.tables = tables;
    return find_parts(&planning->source, sink, tables, list->count, err);
}

uint64_t copiers_chunk_bytes(const struct config *config, const struct sink_ops *ops) {
    const uint64_t bytes = config->copy.chunk_bytes;
    return sink_is_relayed(ops) && bytes > RELAYED_BYTES_MAX ? RELAYED_BYTES_MAX : bytes;
}

bool copiers_plan(const struct config *config, const char *snapshot_name, struct sink *sink,
                  const struct position *position, const atomic_bool *stop, struct error *err) {
    struct planning planning AUTO(planning_release) = {0};
    planning.pin.source = &planning.source;
    arena_init(&planning.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (!source_open(&planning.source, &config->source, stop, err) ||
        !pin_import(&planning.pin, snapshot_name, err) ||
        !catalog_read_tables(&planning.source, config->source.publication_array, &planning.arena,
                             &planning.list, err) ||
        !prepare_sink(&planning, sink, err) ||
        !chunk_plan_make(&planning.source,
                         &(const struct chunk_plan_terms){
                             .snapshot = planning.pin.text.data,
                             .chunk_bytes = copiers_chunk_bytes(config, sink->ops),
                             .by_key_only = sink_is_relayed(sink->ops),
                             .by_pages_bytes = sink->config->has_new_tables ? BY_PAGES_BYTES : 0},
                         &planning.list, &planning.arena, &planning.plan, err) ||
        !pin_prove(&planning.pin, err))
        return false;
    return sink->ops->chunk->store(sink, &planning.plan, position, err);
}

/* ---- what the copiers share ---- */

static int compare_tables(const void *a, const void *b) {
    const struct copier_table *left = a;
    const struct copier_table *right = b;
    return (left->table->oid > right->table->oid) - (left->table->oid < right->table->oid);
}

static bool sort_tables(struct copiers *copiers, struct error *err) {
    const size_t count = copiers->tables.count;
    copiers->by_oid = arena_alloc_zero(&copiers->arena, (count + 1) * sizeof *copiers->by_oid);
    if (copiers->by_oid == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        copiers->by_oid[i].table = &copiers->tables.tables[i];
    qsort(copiers->by_oid, count, sizeof *copiers->by_oid, compare_tables);
    return true;
}

static bool append_oids(struct buffer *oids, const struct table_list *list) {
    for (size_t i = 0; i < list->count; i++)
        buffer_printf(oids, i > 0 ? ",%u" : "{%u", list->tables[i].oid);
    buffer_append_text(oids, list->count > 0 ? "}" : "{}");
    return buffer_text(oids) != NULL;
}

static bool read_definitions(struct copiers *copiers, struct session *source, struct error *err) {
    struct buffer oids AUTO(buffer_release) = {.bytes_max = OIDS_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!append_oids(&oids, &copiers->tables))
        return error_no_memory(err);
    const char *const values[] = {oids.data};
    if (!session_query(source, COPIER_DEFINITIONS, 1, values,
                       &(const struct result_shape){"the query for definitions", 0, RESULT_ROWS_ANY, 2, 0},
                       &result, err))
        return false;
    for (int row = 0; row < PQntuples(result); row++) {
        const oid_t oid = (oid_t) strtoul(PQgetvalue(result, row, 0), NULL, 10);
        struct copier_table *table = copier_find_table(copiers, oid);
        if (table == NULL)
            continue;
        table->definition = arena_copy(&copiers->arena, slice_of(PQgetvalue(result, row, 1)));
        if (table->definition == NULL)
            return error_no_memory(err);
    }
    return true;
}

static bool read_wal_settings(struct copiers *copiers, struct session *source, struct error *err) {
    static const char SQL[] =
        "select pg_catalog.max(setting::bigint) filter (where name = 'wal_writer_delay'),"
        " pg_catalog.max(setting::bigint) filter (where name = 'wal_block_size'),"
        " pg_catalog.max(setting::bigint) filter (where name = 'wal_segment_size') from "
        "pg_catalog.pg_settings"
        " where name in ('wal_writer_delay', 'wal_block_size', 'wal_segment_size')";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for the WAL's settings", 1, 1, 3, 0}, &result,
                       err))
        return false;
    copiers->wal_writer_delay_ms = (int) strtol(PQgetvalue(result, 0, 0), NULL, 10);
    copiers->wal_page_bytes = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    copiers->wal_segment_bytes = strtoull(PQgetvalue(result, 0, 2), NULL, 10);
    return true;
}

/*
 * A chunk that was added to a running pipeline must see each transaction that the stream has passed, and the
 * stream's past is not known here. Nor is it when a relayed copy continues. One whose commit is streamed and
 * not visible is still open, so each transaction that is open now counts as streamed.
 */
static bool note_open(struct copiers *copiers, struct session *source, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct xid_snapshot snapshot = {0};
    if (!copiers->map->has_added && !(copiers->relay != NULL && copiers->is_resumed))
        return true;
    if (!session_query(source, "select pg_catalog.pg_current_snapshot()", 0, NULL,
                       &(const struct result_shape){"the query for a snapshot", 1, 1, 1, 0}, &result, err))
        return false;
    if (!xid_snapshot_parse(PQgetvalue(result, 0, 0), &snapshot))
        return error_set(err, ERROR_PROTOCOL, "source: unexpected answer to the query for a snapshot");
    bool noted = true;
    chunk_map_know(copiers->map, snapshot.xmax);
    for (size_t i = 0; i < snapshot.open_count && noted; i++)
        noted = chunk_map_note(copiers->map, snapshot.open[i], err);
    xid_snapshot_release(&snapshot);
    return noted;
}

static bool refuse_order(const struct chunk *chunk, struct error *err) {
    error_set(err, ERROR_REFUSE,
              "table %s.%s changed while it was copied: its key column has another type or collation",
              chunk->schema, chunk->table);
    return error_remedy(err, START_OVER);
}

static bool is_same(const char *a, const char *b) {
    return a != NULL && b != NULL && strcmp(a, b) == 0;
}

/* In another order a range of the plan has other rows. */
static bool check_order(struct copiers *copiers, struct session *source, const struct chunk *planned,
                        struct error *err) {
    const struct copier_table *known = copier_find_table(copiers, planned->relation_oid);
    struct chunk now = {0};
    if ((planned->method != CHUNK_BY_KEY && planned->method != CHUNK_BY_SOURCE) || known == NULL)
        return true;
    if (!chunk_divider_find(source, known->table, &copiers->arena, &now, err))
        return false;
    return now.method == planned->method && now.column_type == planned->column_type &&
                   is_same(now.column, planned->column) && is_same(now.order_sql, planned->order_sql)
               ? true
               : refuse_order(planned, err);
}

static bool check_orders(struct copiers *copiers, struct session *source, struct error *err) {
    const struct chunk_map *map = copiers->map;
    for (size_t i = 0; i < map->table_count; i++)
        if (map->tables[i].copied_count < map->tables[i].count &&
            !check_order(copiers, source, &map->chunks[map->tables[i].first].chunk, err))
            return false;
    return true;
}

/* In one snapshot, so that tables and definitions belong together. */
static bool read_tables(struct copiers *copiers, struct session *source, struct error *err) {
    const struct source_config *config = &copiers->config->source;
    arena_reset(&copiers->arena);
    copiers->tables = (struct table_list){0};
    return session_execute(source, "begin isolation level repeatable read read only", err) &&
           catalog_read_tables(source, config->publication_array, &copiers->arena, &copiers->tables, err) &&
           sort_tables(copiers, err) && read_definitions(copiers, source, err) &&
           check_orders(copiers, source, err);
}

/* Another session holds a table's lock, as ALTER TABLE does: the tables cannot be read as long. */
static bool is_locked(const struct error *err) {
    return strcmp(err->sqlstate, "55P03") == 0;
}

static void say_locked(const struct copiers *copiers, const struct error *err) {
    log_about(LOG_COPY_WAITS, &(struct log_subject){.sink = copiers->sink->config->name, .error = err},
              "the copy waits, and the stream goes on: %s", err->text);
}

/* *ret_locked: the tables are to be read later. */
static bool read_source(struct copiers *copiers, const atomic_bool *stop, bool *ret_locked,
                        struct error *err) {
    struct session source = {0};
    struct error answer = {0};
    bool is_read = source_open(&source, &copiers->config->source, stop, err) &&
                   note_open(copiers, &source, err) && read_wal_settings(copiers, &source, err);
    if (is_read && !read_tables(copiers, &source, &answer)) {
        *ret_locked = is_locked(&answer);
        is_read = *ret_locked;
        if (*ret_locked)
            say_locked(copiers, &answer);
        else
            *err = answer;
    }
    session_close(&source);
    return is_read;
}

/* Until no table is locked. */
static bool await_tables(struct copiers *copiers, struct error *err) {
    int64_t report_ms = clock_now_ms() + REPORT_MS;
    while (!atomic_load_explicit(&copiers->stop, memory_order_relaxed)) {
        struct session source = {0};
        struct error answer = {0};
        const bool is_read = source_open(&source, &copiers->config->source, &copiers->stop, &answer) &&
                             read_tables(copiers, &source, &answer);
        session_close(&source);
        if (is_read)
            return true;
        if (!is_locked(&answer)) {
            *err = answer;
            return false;
        }
        if (clock_now_ms() >= report_ms) {
            say_locked(copiers, &answer);
            report_ms = clock_now_ms() + REPORT_MS;
        }
        clock_pause_ms(LOCKED_PAUSE_MS);
    }
    return error_set(err, ERROR_STOPPED, "stopped");
}

/* ---- threads ---- */

/* What the supervisor sees of the copy. map: NULL when it ends. */
static void show_map(struct snapshot_progress *progress, struct chunk_map *map) {
    pthread_mutex_lock(&progress->map_lock);
    struct chunk_map *before = progress->map;
    progress->map = map != NULL ? chunk_map_share(map) : NULL;
    pthread_mutex_unlock(&progress->map_lock);
    chunk_map_free(before);
}

/* *ret_tables: those of which something is to be copied. */
static bool count_chunks(const struct copiers *copiers, struct chunk_tally *ret_sum, size_t *ret_tables) {
    struct chunk_map *map = copiers->map;
    struct chunk_tally *tables = calloc(map->table_count, sizeof *tables);
    *ret_sum = (struct chunk_tally){0};
    *ret_tables = 0;
    if (tables == NULL)
        return false;
    chunk_map_tally(map, tables);
    for (size_t i = 0; i < map->table_count; i++) {
        chunk_tally_add(ret_sum, &tables[i]);
        *ret_tables += tables[i].chunk_count > 0;
    }
    free(tables);
    return true;
}

static bool say_start(const struct copiers *copiers, int threads, struct error *err) {
    const char *sink = copiers->sink->config->name;
    struct chunk_tally sum;
    size_t tables;
    if (!count_chunks(copiers, &sum, &tables))
        return error_no_memory(err);
    if (!copiers->is_resumed || sum.chunks_done == 0)
        log_sink(LOG_COPY_STARTED, sink, "copying %s in %s, %d at a time", amount_count(tables, "table").text,
                 amount_count(sum.chunk_count, "chunk").text, threads);
    else
        log_sink(LOG_COPY_CONTINUED, sink, "the copy continues: %" PRIu64 " of %s copied, %d at a time",
                 sum.chunks_done, amount_count(sum.chunk_count, "chunk").text, threads);
    return true;
}

/* After the threads have ended. */
static void note_end(struct copiers *copiers) {
    struct chunk_tally sum;
    size_t tables;
    if (!count_chunks(copiers, &sum, &tables))
        return;
    atomic_store(&copiers->progress->chunk_count, sum.chunk_count);
    atomic_store(&copiers->progress->chunks_safe, sum.chunks_safe);
}

static int count_threads(const struct copiers *copiers) {
    const size_t waiting = copiers->map->count - copiers->map->copied_count;
    const size_t wanted = copiers->config->copy.workers;
    return (int) (waiting < wanted ? (waiting > 0 ? waiting : 1) : wanted);
}

static bool start_thread(struct copiers *copiers, pthread_t *ret_thread, void *(*function)(void *),
                         struct error *err) {
    const int failure = pthread_create(ret_thread, NULL, function, copiers);
    return failure == 0 || error_set(err, ERROR_SYSTEM, "a thread for a copier: %s", strerror(failure));
}

static bool start_threads(struct copiers *copiers, struct error *err) {
    for (; copiers->thread_count < copiers->threads_wanted; copiers->thread_count++)
        if (!start_thread(copiers, &copiers->threads[copiers->thread_count], copier_main, err))
            return false;
    return true;
}

/* Starts the copiers once no table is locked. */
static void *wait_main(void *argument) {
    struct copiers *copiers = argument;
    struct error error = {0};
    if (!await_tables(copiers, &error) || !start_threads(copiers, &error)) {
        chunk_map_fail(copiers->map, &error);
        copiers->wake(copiers->context);
    }
    return NULL;
}

static bool start_waiter(struct copiers *copiers, struct error *err) {
    copiers->has_waiter = start_thread(copiers, &copiers->waiter, wait_main, err);
    return copiers->has_waiter;
}

bool copiers_start(struct copiers *copiers, const atomic_bool *stop, struct error *err) {
    bool is_locked = false;
    arena_init(&copiers->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (!read_source(copiers, stop, &is_locked, err))
        return false;
    copiers->shares = calloc(copiers->map->table_count, sizeof *copiers->shares);
    if (copiers->shares == NULL)
        return error_no_memory(err);
    copiers->threads_wanted = count_threads(copiers);
    if (!say_start(copiers, copiers->threads_wanted, err))
        return false;
    show_map(copiers->progress, copiers->map);
    return is_locked ? start_waiter(copiers, err) : start_threads(copiers, err);
}

void copiers_end(struct copiers *copiers) {
    if (copiers->map == NULL)
        return;
    atomic_store(&copiers->stop, true);
    chunk_map_close(copiers->map);
    if (copiers->relay != NULL)
        relay_close(copiers->relay);
    if (copiers->has_waiter)
        pthread_join(copiers->waiter, NULL);
    copiers->has_waiter = false;
    for (int i = 0; i < copiers->thread_count; i++)
        pthread_join(copiers->threads[i], NULL);
    copiers->thread_count = 0;
    note_end(copiers);
    show_map(copiers->progress, NULL);
    for (size_t i = 0; copiers->shares != NULL && i < copiers->map->table_count; i++) {
        session_close(&copiers->shares[i].holder);
        free(copiers->shares[i].snapshot);
    }
    free(copiers->shares);
    copiers->shares = NULL;
    arena_release(&copiers->arena);
}
