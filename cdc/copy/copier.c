/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier.c - copies one chunk after the other.
 */
#include "cdc/copy/copier_work.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/copy/copy_out.h"
#include "cdc/source/source.h"

#define ARENA_BYTES_MAX ((size_t) 16 << 20)

enum {
    BLOCK_BYTES = 16 * 1024,
    PROGRESS_BYTES = 64 * 1024,
    PAUSED_STEP_MS = 100, /* how soon the end of a pause is noticed */
};

/* A chunk's rows are found by index, also when statistics are old. */
bool copier_open_source(struct copier *copier, struct error *err) {
    struct copiers *copiers = copier->copiers;
    return source_open(&copier->source, &copiers->config->source, &copiers->stop, err) &&
           (!copier->sink->ops->takes_bytes || session_take_bytes(&copier->source, err)) &&
           session_execute(&copier->source, "set enable_seqscan = off", err);
}

struct copier_table *copier_find_table(const struct copiers *copiers, oid_t oid) {
    size_t low = 0, high = copiers->tables.count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const oid_t found = copiers->by_oid[middle].table->oid;
        if (found == oid)
            return &copiers->by_oid[middle];
        if (found < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

/* ---- rows ---- */

static void tell_progress(struct copier *copier) {
    struct snapshot_progress *progress = copier->copiers->progress;
    atomic_fetch_add_explicit(&progress->rows, copier->shown_rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->bytes, copier->shown_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&copier->chunk->rows, copier->shown_rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&copier->chunk->bytes, copier->shown_bytes, memory_order_relaxed);
    copier->shown_rows = copier->shown_bytes = 0;
}

/* A message is a row, but for the header and the trailer of the binary format. */
static void count_rows(struct copier *copier, uint64_t messages) {
    const uint64_t extra = messages - copier->rows;
    tell_progress(copier);
    atomic_fetch_sub_explicit(&copier->copiers->progress->rows, extra, memory_order_relaxed);
    atomic_fetch_sub_explicit(&copier->chunk->rows, extra, memory_order_relaxed);
}

static void add_row(struct copier *copier, uint64_t bytes) {
    copier->shown_rows++;
    copier->shown_bytes += bytes;
    if (copier->shown_bytes >= PROGRESS_BYTES)
        tell_progress(copier);
}

static bool move_rows(struct copier *copier, struct error *err) {
    for (uint64_t messages = 0;; messages++) {
        struct copy_message message AUTO(copy_out_free) = {0};
        if (!copy_out_next(&copier->source, &message, &copier->rows, err))
            return false;
        if (message.data == NULL) {
            count_rows(copier, messages);
            return copy_bytes_send(&copier->bytes, err);
        }
        if (!copy_bytes_add(&copier->bytes, (struct slice){.data = message.data, .size = message.size}, err))
            return false;
        add_row(copier, message.size);
    }
}

/* The sink notes in the columns how it takes them, so each copier has its own. */
static bool own_table(struct copier *copier, const struct table *table, struct error *err) {
    arena_reset(&copier->arena);
    copier->table = *table;
    copier->table.columns =
        arena_alloc(&copier->arena, (table->column_count + 1) * sizeof *copier->table.columns);
    if (copier->table.columns == NULL)
        return error_no_memory(err);
    memcpy(copier->table.columns, table->columns, table->column_count * sizeof *table->columns);
    return true;
}

static bool prepare(struct copier *copier, const struct copier_table *known, struct error *err) {
    if (copier->prepared == known)
        return true;
    copier->prepared = NULL;
    if (!copier_check_columns(copier, known, err))
        return false;
    copier->says_awaits_ms = 0;
    if (!own_table(copier, known->table, err) ||
        !copier->sink->ops->chunk->prepare(copier->sink, &copier->table, err))
        return false;
    copier->format = copy_bytes_format(copier->sink, &copier->table, copier->copiers->text_only);
    copier->prepared = known;
    return true;
}

static bool copy_rows(struct copier *copier, const struct copier_table *known, const struct chunk *chunk,
                      struct error *err) {
    if (!prepare(copier, known, err) || !copier_find_snapshot(copier, known, err))
        return false;
    FAULT_POINT("chunk-accepted");
    return copier->sink->ops->chunk->begin(copier->sink, &copier->table, chunk, copier->format, err) &&
           copy_out_start(&copier->source, &copier->table, chunk, copier->format, err) &&
           move_rows(copier, err);
}

static bool skip_rows(struct copier *copier, const struct chunk *chunk, struct error *err) {
    log_about(LOG_COPY_LEFT_OUT,
              &(struct log_subject){
                  .sink = copier->sink->config->name, .schema = chunk->schema, .table = chunk->table},
              "table %s.%s is not published any more, so the rest of its copy is left out", chunk->schema,
              chunk->table);
    return copier_find_snapshot(copier, NULL, err);
}

/* ---- tables whose chunks share a snapshot ---- */

/*
 * Takes the snapshot of all chunks of the table, and hands them out. Rows of an interrupted copy, which was
 * of another snapshot, go first.
 */
static bool lead(struct copier *copier, const struct copier_table *known, const struct chunk *chunk,
                 struct error *err) {
    struct copier_share *share = copier_share_of(copier);
    if ((known != NULL && !prepare(copier, known, err)) ||
        (copier->chunk->is_dirty &&
         !copier->sink->ops->chunk->empty(copier->sink, known != NULL ? &copier->table : NULL, chunk, err)))
        return false;
    chunk_map_note_emptied(copier->copiers->map, copier->chunk);
    if (!(known != NULL ? copier_find_snapshot(copier, known, err) : skip_rows(copier, chunk, err)))
        return false;
    FAULT_POINT("chunk-accepted");
    free(share->snapshot);
    share->snapshot = strdup(copier->snapshot);
    share->read_lsn = copier->read_lsn;
    share->read_ms = copier->read_ms;
    if (share->snapshot == NULL)
        return error_no_memory(err);
    if (known != NULL ? !copier_export_snapshot(copier, share, err)
                      : !session_execute(&copier->source, "rollback", err))
        return false;
    chunk_map_open(copier->copiers->map, copier->chunk);
    return true;
}

static bool copy_shared(struct copier *copier, const struct copier_table *known, const struct chunk *chunk,
                        struct error *err) {
    if (known == NULL)
        return copier_import_snapshot(copier, err);
    const bool is_prepared = prepare(copier, known, err);
    copier->awaits = copier->is_locked = false; /* other chunks of the snapshot are read already */
    return is_prepared && copier_import_snapshot(copier, err) &&
           copier->sink->ops->chunk->begin(copier->sink, &copier->table, chunk, copier->format, err) &&
           copy_out_start(&copier->source, &copier->table, chunk, copier->format, err) &&
           move_rows(copier, err);
}

/* ---- chunks ---- */

/* The last chunk of a table gets its key. */
static bool find_key(struct copier *copier, struct chunk *chunk, struct error *err) {
    bool is_last = true;
    if (map_table_is_shared(copier->chunk->table) &&
        !chunk_map_find_last(copier->copiers->map, copier->chunk, &is_last, err))
        return false;
    chunk->gets_key = chunk->gets_key && is_last;
    return true;
}

static bool end_chunk(struct copier *copier, const struct copier_table *known, struct chunk *chunk,
                      struct error *err) {
    const struct sink_chunk_ops *ops = copier->sink->ops->chunk;
    chunk->snapshot = copier->snapshot;
    if (!copier_wait_flushed(copier, err) || !session_execute(&copier->source, "rollback", err) ||
        !find_key(copier, chunk, err) ||
        !ops->end(copier->sink, known != NULL ? &copier->table : NULL, chunk, copier->read_lsn, copier->rows,
                  err))
        return false;
    if (copier->copiers->relay != NULL)
        return true; /* the runner has noted it */
    if (!chunk_map_end(copier->copiers->map, copier->chunk))
        return true;
    session_close(&copier_share_of(copier)->holder);
    return known == NULL || ops->table_end(copier->sink, &copier->table, err);
}

static bool explain_chunk(const struct chunk *chunk, struct error *err) {
    return error_wrap(err, "copying table %s.%s", chunk->schema, chunk->table);
}

static bool copy_chunk(struct copier *copier, struct error *err) {
    struct chunk chunk = copier->chunk->chunk;
    const struct copier_table *known = copier_find_table(copier->copiers, chunk.relation_oid);
    chunk.state = copier->chunk->is_dirty ? CHUNK_DIRTY : CHUNK_WAITS;
    copier->rows = copier->shown_rows = copier->shown_bytes = 0;
    copier->is_locked = copier->awaits = false;
    if (known == NULL && chunk.is_added)
        return copier_await_publication(copier, &chunk, err);
    const bool is_shared = map_table_is_shared(copier->chunk->table);
    if (is_shared && !copier->chunk->table->is_open)
        return lead(copier, known, &chunk, err) || copier_put_off(copier, err) || explain_chunk(&chunk, err);
    bool copied = is_shared       ? copy_shared(copier, known, &chunk, err)
                  : known != NULL ? copy_rows(copier, known, &chunk, err)
                                  : skip_rows(copier, &chunk, err);
    return (copied && end_chunk(copier, known, &chunk, err)) || copier_put_off(copier, err) ||
           explain_chunk(&chunk, err);
}

/*
 * Each transaction that a chunk sees has its commit record before this end of the flushed WAL: the chunk was
 * not committed before that (wait_flushed). What follows may stay unflushed for long on an idle source, and
 * the stream brings only what is flushed.
 */
static bool read_end(struct copier *copier, struct error *err) {
    lsn_t end_lsn = 0;
    if (!copier_read_flush_lsn(copier, &end_lsn, err))
        return false;
    if (end_lsn == 0)
        return error_set(err, ERROR_PROTOCOL, "source: no answer to where its WAL ends");
    chunk_map_set_end(copier->copiers->map, copier_record_end(copier, end_lsn));
    copier->copiers->wake(copier->copiers->context);
    return true;
}

/* ---- the thread ---- */

static bool open_sessions(struct copier *copier, struct error *err) {
    return copier_open_source(copier, err) &&
           copier->sink->ops->chunk->open(copier->sink, copier->copiers->sink, err);
}

static void wait_paused(const struct copiers *copiers) {
    while (copiers->is_paused != NULL && atomic_load(copiers->is_paused) && !atomic_load(&copiers->stop))
        clock_pause_ms(PAUSED_STEP_MS);
}

static bool work(struct copier *copier, struct error *err) {
    for (;;) {
        wait_paused(copier->copiers);
        switch (chunk_map_take(copier->copiers->map, &copier->chunk)) {
        case MAP_WORK_CHUNK:
            if (!copy_chunk(copier, err))
                return false;
            break;
        case MAP_WORK_END:
            if (!read_end(copier, err))
                return false;
            break;
        case MAP_WORK_NONE:
            return true;
        }
    }
}

static void copier_release(struct copier *copier) {
    copier->sink->ops->close(copier->sink);
    sink_free(copier->sink);
    session_close(&copier->source);
    copy_bytes_release(&copier->bytes);
    arena_release(&copier->arena);
    free(copier->snapshot);
}

void *copier_main(void *argument) {
    struct copiers *copiers = argument;
    struct copier copier = {.copiers = copiers};
    struct error error = {0};
    copier.sink = copiers->relay != NULL
                      ? relay_sink_new(copiers->relay, copiers->sink->config, &copiers->stop)
                      : sink_new(copiers->sink->ops, copiers->sink->config, &copiers->stop);
    if (copier.sink == NULL) {
        error_no_memory(&error);
        chunk_map_fail(copiers->map, &error);
        return NULL;
    }
    arena_init(&copier.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    copy_bytes_init(&copier.bytes, copier.sink);
    if (!open_sessions(&copier, &error) || !work(&copier, &error)) {
        chunk_map_fail(copiers->map, &error);
        copiers->wake(copiers->context);
    }
    copier_release(&copier);
    return NULL;
}
