/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_chunks.c - a copy in chunks beside the stream: the filter, the plan, its end.
 */
#include <assert.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/runner_parts.h"

enum {
    CHUNK_WAIT_MS = 200, /* how soon a stop is noticed while a change waits for a chunk */
    RELAY_WAIT_MS = 20,  /* and how soon a chunk that has become ready, while a transaction waits */
    BLOCK_BYTES = 64 * 1024,
};

#define PLAN_BYTES_MAX ((size_t) 256 << 20)
#define RELAYED_BYTES_MAX ((size_t) 2 << 30) /* a row of the largest size that COPY can send */

/* ---- chunks that this thread writes ---- */

static bool is_stopped(struct runner *runner) {
    return atomic_load_explicit(&runner->stop, memory_order_relaxed) || queue_is_closed(&runner->queue);
}

/* Each line is a row: COPY writes a line break within a value as an escape. */
static bool add_rows(struct runner *runner, struct error *err) {
    const char *next = runner->relayed_bytes.data;
    const char *end = next + runner->relayed_bytes.size;
    while (next < end) {
        const char *line_end = memchr(next, '\n', (size_t) (end - next));
        const size_t size = line_end != NULL ? (size_t) (line_end - next) + 1 : (size_t) (end - next);
        if (!snapshot_rows_add(runner->relayed_rows, (struct slice){.data = next, .size = size}, err))
            return false;
        next += size;
    }
    return true;
}

/* False without an error: runner->gives_up. */
static bool write_rows(struct runner *runner, struct relay_chunk *chunk, struct error *err) {
    struct buffer *bytes = &runner->relayed_bytes;
    if (chunk->table == NULL)
        return true;
    if (!snapshot_rows_begin(runner->relayed_rows, chunk->table, err))
        return false;
    for (;;) {
        buffer_reset(bytes);
        if (!relay_take(&runner->relay, chunk, bytes, RELAY_WAIT_MS)) {
            if (chunk_map_failed(runner->map, err))
                return false;
            runner->gives_up = is_stopped(runner);
            if (runner->gives_up)
                return false;
        } else if (bytes->size == 0) {
            return snapshot_rows_write(runner->relayed_rows, err);
        } else if (!add_rows(runner, err)) {
            return false;
        }
    }
}

/* Rows and mark are in one commit, at the position where the stream is. */
static bool store_chunk(struct runner *runner, const struct relay_chunk *chunk, struct error *err) {
    FAULT_POINT("runner-chunk-written");
    runner->row_lsn = runner->written.end_lsn;
    runner->row_index = runner->relayed_rows->index;
    if (!runner->sink->ops->chunk->mark(runner->sink, &chunk->chunk, chunk->read_lsn, runner->row_lsn,
                                        runner->row_index, err) ||
        !runner_commit(runner, COMMIT_DURABLE, err))
        return false;
    FAULT_POINT("runner-chunk-stored");
    return true;
}

/* The numbers of rows increase, also when nothing was streamed since the last chunk. */
static void place_rows(struct runner *runner) {
    const bool is_same_place = runner->row_lsn == runner->written.end_lsn;
    snapshot_rows_place(runner->relayed_rows, &runner->written, is_same_place ? runner->row_index : 0);
}

/* Between two transactions: the chunk that has waited longest. */
static bool write_relayed(struct runner *runner, struct error *err) {
    const int64_t since_us = clock_now_us();
    assert(!runner->in_transaction);
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    struct relay_chunk *chunk = relay_next(&runner->relay);
    if (chunk == NULL)
        return true;
    place_rows(runner);
    if (!write_rows(runner, chunk, err) || !store_chunk(runner, chunk, err)) {
        relay_let_go(&runner->relay);
        return false;
    }
    struct map_chunk *copied = chunk_map_find(runner->map, chunk->chunk.id);
    chunk_map_end(runner->map, copied);
    relay_end(&runner->relay, chunk);
    runner->chunk_us = clock_now_us() - since_us;
    runner->stream_us = 0;
    return true;
}

/* The stream gets at least half of the time. */
static bool is_due(struct runner *runner) {
    return runner->is_relayed && relay_is_ready(&runner->relay) && !runner->in_transaction &&
           (queue_is_empty(&runner->queue) || runner->stream_us >= runner->chunk_us);
}

static void wake_runner(void *runner) {
    queue_wake(&((struct runner *) runner)->queue);
}

/* ---- the stream ---- */

bool runner_note_chunks(struct runner *runner, struct error *err) {
    struct chunk_note note;
    if (runner->filter == NULL || !chunk_filter_has_note(runner->filter, runner->written.end_lsn, &note))
        return true;
    FAULT_POINT("runner-before-note");
    return runner->sink->ops->chunk->note(runner->sink, &note, err);
}

/* False without an error: the run ends before the chunk is copied, and the rest of the batch is given up. */
static bool await_chunk(struct runner *runner, const struct map_chunk *chunk, struct error *err) {
    if (runner->group.open && !runner->in_transaction && !runner_end_group(runner, err))
        return false;
    FAULT_POINT("runner-awaits-chunk");
    while (!chunk_map_wait(runner->map, chunk, runner->is_relayed ? RELAY_WAIT_MS : CHUNK_WAIT_MS)) {
        if (runner->is_relayed && relay_is_ready(&runner->relay) && !write_relayed(runner, err))
            return false;
        if (chunk_map_failed(runner->map, err))
            return false;
        runner->gives_up = is_stopped(runner);
        if (runner->gives_up)
            return false;
    }
    return true;
}

/* What the sink has already is not asked about: its chunks may have been copied since. */
static size_t count_present(const struct runner *runner, const struct change *changes, size_t count) {
    size_t present = 0;
    while (present < count &&
           (changes[present].transaction != NULL
                ? position_has_begin(&runner->start, changes[present].transaction->commit_lsn)
                : position_has_message(&runner->start, changes[present].lsn)))
        present++;
    return present;
}

bool runner_take_filtered(struct runner *runner, const struct change *changes, size_t count,
                          struct error *err) {
    size_t first = count_present(runner, changes, count);
    const struct part present = {
        .changes = changes, .count = first, .whole_count = part_count_whole(changes, first)};
    if (!runner_take(runner, &present, err))
        return false;
    if (!chunk_asker_ask(runner->asker, changes + first, count - first, err))
        return false;
    while (first < count) {
        const struct map_chunk *awaited = NULL;
        struct chunk_filter *filter = runner->filter;
        size_t taken = 0;
        if (!chunk_filter_take(filter, changes + first, count - first, &taken, &awaited, err) ||
            !ledger_add(&runner->ledger, LEDGER_COPIED, changes + first, taken, err))
            return false;
        ledger_subtract(&runner->ledger, LEDGER_COPIED, filter->kept, filter->kept_count);
        const struct part part = {.changes = filter->kept,
                                  .count = filter->kept_count,
                                  .whole_count = part_count_whole(filter->kept, filter->kept_count)};
        if (!runner_take(runner, &part, err) || (awaited != NULL && !await_chunk(runner, awaited, err)))
            return false;
        first += taken;
    }
    return true;
}

/* ---- columns ---- */

/* Their place is passed. If it has kept a row since, that has told the sink of them, or more. */
static bool tell_columns(struct runner *runner, const struct awaited_table *table, bool *ret_told,
                         struct error *err) {
    *ret_told = chunk_filter_kept_lsn(runner->filter, table->relation->oid) < table->lsn;
    if (!*ret_told)
        return true;
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    FAULT_POINT("runner-before-define");
    if (!runner->sink->ops->chunk->define(runner->sink, table->relation, table->lsn, err))
        return false;
    FAULT_POINT("runner-defined");
    return runner_commit(runner, COMMIT_DURABLE, err);
}

/* Between two transactions: columns for which chunks wait. */
static bool tell_awaited(struct runner *runner, struct error *err) {
    bool is_told = false;
    if (runner->copiers.awaited == NULL || runner->in_transaction)
        return true;
    struct awaited_table *table = awaited_columns_take(runner->copiers.awaited, runner->written.end_lsn);
    if (table == NULL)
        return true;
    const bool good = tell_columns(runner, table, &is_told, err);
    awaited_columns_end(runner->copiers.awaited, table, is_told && good);
    return good;
}

/* ---- the plan ---- */

void runner_forget_copy(struct runner *runner) {
    copiers_end(&runner->copiers);
    if (runner->copiers.awaited != NULL)
        awaited_columns_release(runner->copiers.awaited);
    if (runner->is_relayed)
        relay_release(&runner->relay);
    snapshot_rows_free(runner->relayed_rows);
    buffer_release(&runner->relayed_bytes);
    runner->relayed_rows = NULL;
    runner->is_relayed = false;
    chunk_asker_free(runner->asker);
    chunk_filter_free(runner->filter);
    chunk_map_free(runner->map);
    runner->copiers = (struct copiers){0};
    runner->asker = NULL;
    runner->filter = NULL;
    runner->map = NULL;
}

bool runner_load_plan(struct runner *runner, struct error *err) {
    struct arena arena;
    struct chunk_plan plan = {0};
    if (runner->sink->ops->chunk == NULL)
        return true;
    arena_init(&arena, BLOCK_BYTES, PLAN_BYTES_MAX);
    bool loaded = runner->sink->ops->chunk->load(runner->sink, &arena, &plan, err) &&
                  (plan.count == 0 || chunk_map_new(&plan, &runner->map, err));
    runner->copy_lsn = plan.read_lsn;
    runner->row_lsn = plan.row_lsn;
    runner->row_index = plan.row_index;
    atomic_store(&runner->is_copying, runner->map != NULL);
    arena_release(&arena);
    return loaded;
}

static bool start_relay(struct runner *runner, struct error *err) {
    if (!sink_is_relayed(runner->sink->ops))
        return true;
    runner->relayed_rows = snapshot_rows_new(runner->sink, &runner->written);
    if (runner->relayed_rows == NULL)
        return error_no_memory(err);
    buffer_init(&runner->relayed_bytes, RELAYED_BYTES_MAX);
    relay_init(&runner->relay, wake_runner, runner);
    runner->is_relayed = true;
    runner->map->is_relayed = true;
    runner->map->is_appended = runner->sink->ops->appends;
    runner->copiers.relay = &runner->relay;
    return true;
}

bool runner_start_copiers(struct runner *runner, struct error *err) {
    if (runner->map == NULL)
        return true;
    if (!start_relay(runner, err))
        return false;
    runner->filter = chunk_filter_new(runner->map, BATCH_CHANGES_MAX);
    if (runner->filter == NULL)
        return error_no_memory(err);
    runner->asker = chunk_asker_new(&runner->run.config->source, runner->filter, &runner->stop);
    if (runner->asker == NULL)
        return error_no_memory(err);
    if (runner->sink->ops->chunk->define != NULL) {
        awaited_columns_init(&runner->awaited);
        runner->copiers.awaited = &runner->awaited;
    }
    runner->copiers.config = runner->run.config;
    runner->copiers.sink = runner->sink;
    runner->copiers.map = runner->map;
    runner->copiers.progress = &runner->copy.progress;
    runner->copiers.text_only = runner->run.text_only;
    runner->copiers.is_resumed = !runner->has_planned;
    runner->copiers.is_paused = runner->pause != NULL ? &runner->pause->is_wanted : NULL;
    runner->copiers.wake = wake_runner;
    runner->copiers.context = runner;
    return copiers_start(&runner->copiers, &runner->stop, err);
}

/*
 * The stream has passed every transaction that a chunk has seen: from here on all changes apply, and the plan
 * goes.
 */
static bool finish_copy(struct runner *runner, struct error *err) {
    const struct chunk_note finished = {.is_finished = true, .last_id = chunk_map_last_id(runner->map)};
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    FAULT_POINT("runner-before-finish");
    if (!runner->sink->ops->chunk->note(runner->sink, &finished, err) ||
        !runner_commit(runner, COMMIT_DURABLE, err))
        return false;
    FAULT_POINT("runner-copy-finished");
    runner_forget_copy(runner);
    log_about(LOG_COPY_COMPLETE,
              &(struct log_subject){.sink = runner->sink->config->name, .lsn = runner->written.end_lsn},
              "the copy is complete, and consistent as of %s", lsn_format(runner->written.end_lsn).text);
    atomic_store(&runner->is_copying, false);
    eventfd_write(runner->event_fd, 1);
    return true;
}

static struct chunk_edit *take_edits(struct runner *runner) {
    pthread_mutex_lock(&runner->lock);
    struct chunk_edit *edits = runner->edits;
    runner->edits = NULL;
    pthread_mutex_unlock(&runner->lock);
    return edits;
}

/* No copy goes on, so the sink's plan in memory is the one that is stored. */
static bool store_edit(struct runner *runner, const struct chunk_edit *edit, struct error *err) {
    if (!chunk_edit_apply(edit, runner->sink, err) || !runner_commit(runner, COMMIT_DURABLE, err))
        return false;
    FAULT_POINT("tables-edit-stored");
    return true;
}

static bool store_edits(struct runner *runner, struct error *err) {
    struct chunk_edit *edits = take_edits(runner);
    bool stored = true;
    for (const struct chunk_edit *edit = edits; edit != NULL && stored; edit = edit->next)
        stored = store_edit(runner, edit, err);
    chunk_edit_free(edits);
    return stored;
}

bool runner_reload_plan(struct runner *runner, struct error *err) {
    const unsigned number = atomic_load(&runner->reload_number);
    if (runner->in_transaction || number == atomic_load(&runner->reloaded_number))
        return true;
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    runner_forget_copy(runner);
    if (!store_edits(runner, err) || !runner_load_plan(runner, err) || !runner_start_copiers(runner, err))
        return false;
    atomic_store(&runner->reloaded_number, number);
    eventfd_write(runner->event_fd, 1);
    return true;
}

bool runner_watch_copy(struct runner *runner, struct error *err) {
    if (!runner_reload_plan(runner, err))
        return false;
    if (runner->map == NULL)
        return true;
    if (chunk_map_failed(runner->map, err))
        return false;
    if (!tell_awaited(runner, err))
        return false;
    if (is_due(runner) && !write_relayed(runner, err))
        return false;
    const lsn_t end_lsn = chunk_map_end_lsn(runner->map);
    if (end_lsn == 0 || runner->in_transaction || runner->written.end_lsn < end_lsn)
        return true;
    return finish_copy(runner, err);
}
