/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_moment.c - the heads of frames name the time of the last commit, so only the segment in which a
 * later one begins is decoded.
 */
#include "cdc/archive/archive_moment.h"

#include "cdc/archive/archive_cursor.h"
#include "cdc/archive/segment_end.h"

enum { BLOCK_BYTES = 256 * 1024 };

struct moment {
    int64_t time_us;
    bool is_passed; /* some frame ends with a later commit */
};

/* A time that goes back hides a later one before it in the same frame, but not in the frames between. */
static bool look_at_frame(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct moment *moment = context;
    (void) offset;
    (void) err;
    moment->is_passed = moment->is_passed || frame->commit_time_us > moment->time_us;
    return true;
}

/* *ret_lsn: where the segment ends, when no frame of it is later. */
static bool look_at_segment(const char *directory, const struct segment_list *list, size_t index,
                            struct moment *moment, lsn_t *ret_lsn, struct error *err) {
    struct segment segment = {.fd = -1};
    struct segment_end end;
    const bool is_read =
        segment_open(directory, &list->names[index], index + 1 == list->count, &segment, err) &&
        segment_find_end(&segment, look_at_frame, moment, &end, err);
    if (is_read)
        *ret_lsn = end.end_lsn;
    segment_close(&segment);
    return is_read;
}

/* Reads from a segment's beginning up to the first later transaction. */
static bool read_until(struct archive_cursor *cursor, struct arena *arena, int64_t time_us,
                       const atomic_bool *stop, lsn_t *ret_lsn, struct error *err) {
    for (;;) {
        enum archive_step step;
        struct change change;
        lsn_t lsn = 0;
        if (atomic_load_explicit(stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
        arena_reset(arena);
        if (!archive_cursor_next(cursor, arena, &step, &change, &lsn, err))
            return false;
        if (step == ARCHIVE_DRAINED)
            return true;
        if (step == ARCHIVE_POSITION)
            *ret_lsn = lsn;
        else if (change.transaction != NULL && change.transaction->commit_time_us > time_us)
            return true;
        else if (change.kind == CHANGE_COMMIT)
            *ret_lsn = change.end_lsn;
    }
}

static bool read_segment(const char *directory, lsn_t first_lsn, int64_t time_us, const atomic_bool *stop,
                         lsn_t *ret_lsn, struct error *err) {
    struct archive_cursor cursor;
    struct arena arena;
    arena_init(&arena, BLOCK_BYTES, FRAME_PLAIN_BYTES_MAX);
    *ret_lsn = first_lsn;
    const bool is_read = archive_cursor_open(&cursor, directory, first_lsn, err) &&
                         read_until(&cursor, &arena, time_us, stop, ret_lsn, err);
    archive_cursor_close(&cursor);
    arena_release(&arena);
    return is_read;
}

bool archive_find_moment(const char *directory, int64_t time_us, const atomic_bool *stop, lsn_t *ret_lsn,
                         struct error *err) {
    struct segment_list list = {0};
    struct moment moment = {.time_us = time_us};
    size_t index = 0;
    *ret_lsn = 0;
    bool is_read = segment_list_read(directory, &list, err);
    if (is_read && list.count == 0)
        is_read = error_set(err, ERROR_CONFIG, "archive %s: it has no segments", directory);
    for (; is_read && index < list.count && !moment.is_passed; index++)
        is_read = look_at_segment(directory, &list, index, &moment, ret_lsn, err);
    if (is_read && moment.is_passed)
        is_read = read_segment(directory, list.names[index - 1].first_lsn, time_us, stop, ret_lsn, err);
    segment_list_release(&list);
    return is_read;
}
