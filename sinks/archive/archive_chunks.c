/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_chunks.c - a copy in chunks beside the stream: its rows, its marks and its plan are entries of the
 * groups that they belong to.
 *
 * What an archive holds cannot be replaced, but it can be made void: a TRUNCATE, and then the rows again.
 */
#include <assert.h>
#include <errno.h>
#include <sys/stat.h>

#include "sinks/archive/archive.h"

static struct archive_sink *archive_of(struct sink *sink) {
    return (struct archive_sink *) sink;
}

/* ---- entries ---- */

static bool write_head(struct archive_sink *archive, struct error *err) {
    if (!archive_prepare_entry(archive, err) ||
        !archive_plan_write_head(&archive->plan, &archive->plain, err))
        return false;
    archive->has_plan = true;
    return archive_end_entry(archive, err);
}

static bool write_chunk(struct archive_sink *archive, uint32_t id, struct error *err) {
    if (!archive_prepare_entry(archive, err) ||
        !archive_plan_write_chunk(&archive->plan, id, &archive->plain, err))
        return false;
    archive->has_plan = true;
    return archive_end_entry(archive, err);
}

static bool write_copied(struct archive_sink *archive, struct error *err) {
    const struct slice nothing = {.data = "", .size = 0};
    if (!archive_prepare_entry(archive, err) ||
        !entry_write_plan(ENTRY_PLAN_COPIED, 0, nothing, &archive->plain, err))
        return false;
    archive->has_plan = true;
    archive_plan_end(&archive->plan);
    return archive_end_entry(archive, err);
}

bool archive_write_plan(struct archive_sink *archive, struct error *err) {
    if (!write_head(archive, err))
        return false;
    for (uint32_t id = 1; id <= archive->plan.capacity; id++)
        if (archive->plan.chunks[id - 1].id != 0 && !write_chunk(archive, id, err))
            return false;
    return true;
}

/* ---- the contract's functions ---- */

static bool chunks_can(const struct sink *sink, const char **ret_reason) {
    (void) sink;
    (void) ret_reason;
    return true;
}

static bool chunks_store(struct sink *sink, const struct chunk_plan *plan, const struct position *position,
                         struct error *err) {
    struct archive_sink *archive = archive_of(sink);
    struct position durable;
    assert(archive->plan.count == 0);
    if (!archive_prepare_entry(archive, err))
        return false;
    archive->plan.head =
        (struct chunk_plan){.snapshot = arena_copy(&archive->plan.arena, slice_of(plan->snapshot))};
    if (archive->plan.head.snapshot == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < plan->count; i++)
        if (!archive_plan_put(&archive->plan, &plan->chunks[i], err))
            return false;
    return (plan->count == 0 || archive_write_plan(archive, err)) &&
           sink->ops->commit(sink, position, COMMIT_DURABLE, &durable, err);
}

static bool chunks_load(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                        struct error *err) {
    return archive_plan_give(&archive_of(sink)->plan, arena, ret_plan, err);
}

/* The texts go into the caller's arena with the plan's, which lives as long. */
static bool chunks_look(struct sink *sink, struct arena *arena, struct chunk_plan *ret_plan,
                        struct error *err) {
    struct archive_options options;
    struct archive_plan plan = {.arena = *arena};
    struct stat directory;
    *ret_plan = (struct chunk_plan){0};
    if (!archive_options_read(sink->config, &options, err))
        return false;
    if (stat(options.path, &directory) != 0 && errno == ENOENT)
        return true;
    const bool is_read = archive_plan_read(&plan, options.path, err);
    *arena = plan.arena;
    return is_read && archive_plan_give(&plan, arena, ret_plan, err);
}

static bool chunks_mark(struct sink *sink, const struct chunk *chunk, lsn_t read_lsn, lsn_t row_lsn,
                        uint64_t row_index, struct error *err) {
    struct archive_sink *archive = archive_of(sink);
    struct chunk *stored = archive_plan_chunk(&archive->plan, chunk->id);
    struct chunk_plan *head = &archive->plan.head;
    stored->snapshot = arena_copy(&archive->plan.arena, slice_of(chunk->snapshot));
    if (stored->snapshot == NULL)
        return error_no_memory(err);
    stored->state = CHUNK_COPIED;
    stored->rows = chunk->rows;
    head->read_lsn = read_lsn > head->read_lsn ? read_lsn : head->read_lsn;
    head->row_lsn = row_lsn;
    head->row_index = row_index;
    entry_writer_forget(&archive->entries); /* the next chunk's table may have another definition */
    return write_chunk(archive, chunk->id, err) && write_head(archive, err);
}

/*
 * The engine knows which transactions were streamed: it does not note them in a sink that has mark. The rows
 * of a dirty chunk are void by now, so it waits.
 */
static bool chunks_note(struct sink *sink, const struct chunk_note *note, struct error *err) {
    struct archive_sink *archive = archive_of(sink);
    assert(note->emptied_count == 0 && note->seen_count == 0);
    for (size_t i = 0; i < note->dirty_count; i++) {
        struct chunk *stored = archive_plan_chunk(&archive->plan, note->dirty[i]);
        stored->state = CHUNK_WAITS;
        stored->snapshot = NULL;
        stored->rows = 0;
        if (!write_chunk(archive, stored->id, err))
            return false;
    }
    return !note->is_finished || write_copied(archive, err);
}

const struct sink_chunk_ops ARCHIVE_CHUNK = {
    .can = chunks_can,
    .store = chunks_store,
    .load = chunks_load,
    .note = chunks_note,
    .mark = chunks_mark,
    .look = chunks_look,
};
