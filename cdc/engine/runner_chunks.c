/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner_chunks.c - a copy in chunks beside the stream: the filter, the plan, its end.
 */
#include <stdatomic.h>
#include <sys/eventfd.h>

#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/runner_parts.h"

enum {
    CHUNK_WAIT_MS = 200, /* how soon a stop is noticed while a change waits for a chunk */
    BLOCK_BYTES = 64 * 1024,
};

#define PLAN_BYTES_MAX ((size_t) 256 << 20)

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
    while (!chunk_map_wait(runner->map, chunk, CHUNK_WAIT_MS)) {
        if (chunk_map_failed(runner->map, err))
            return false;
        if (atomic_load_explicit(&runner->stop, memory_order_relaxed) || queue_is_closed(&runner->queue)) {
            runner->gives_up = true;
            return false;
        }
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
        if (!chunk_filter_take(filter, changes + first, count - first, &taken, &awaited, err))
            return false;
        const struct part part = {.changes = filter->kept,
                                  .count = filter->kept_count,
                                  .whole_count = part_count_whole(filter->kept, filter->kept_count)};
        if (!runner_take(runner, &part, err) || (awaited != NULL && !await_chunk(runner, awaited, err)))
            return false;
        first += taken;
    }
    return true;
}

/* ---- the plan ---- */

void runner_forget_copy(struct runner *runner) {
    copiers_end(&runner->copiers);
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
    atomic_store(&runner->is_copying, runner->map != NULL);
    arena_release(&arena);
    return loaded;
}

bool runner_start_copiers(struct runner *runner, struct error *err) {
    if (runner->map == NULL)
        return true;
    runner->filter = chunk_filter_new(runner->map, BATCH_CHANGES_MAX);
    if (runner->filter == NULL)
        return error_no_memory(err);
    runner->asker = chunk_asker_new(&runner->run.config->source, runner->filter, &runner->stop);
    if (runner->asker == NULL)
        return error_no_memory(err);
    runner->copiers.config = runner->run.config;
    runner->copiers.sink = runner->sink;
    runner->copiers.map = runner->map;
    runner->copiers.progress = &runner->copy.progress;
    runner->copiers.text_only = runner->run.text_only;
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
    log_line(LOG_LEVEL_INFO, "sink %s: the copy is complete, and consistent as of %s",
             runner->sink->config->name, lsn_format(runner->written.end_lsn).text);
    atomic_store(&runner->is_copying, false);
    eventfd_write(runner->event_fd, 1);
    return true;
}

bool runner_reload_plan(struct runner *runner, struct error *err) {
    const unsigned number = atomic_load(&runner->reload_number);
    if (runner->in_transaction || number == atomic_load(&runner->reloaded_number))
        return true;
    if (runner->group.open && !runner_end_group(runner, err))
        return false;
    runner_forget_copy(runner);
    if (!runner_load_plan(runner, err) || !runner_start_copiers(runner, err))
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
    const lsn_t end_lsn = chunk_map_end_lsn(runner->map);
    if (end_lsn == 0 || runner->in_transaction || runner->written.end_lsn < end_lsn)
        return true;
    return finish_copy(runner, err);
}
