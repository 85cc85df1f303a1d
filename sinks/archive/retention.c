/* SPDX-License-Identifier: Apache-2.0 */
/*
 * retention.c - the oldest first, so that what is left has no gap.
 */
#include "sinks/archive/retention.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/archive/follower.h"
#include "cdc/archive/segment_end.h"
#include "cdc/archive/segment_list.h"
#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"

enum { SECOND_US = 1000000, MS_US = 1000 };

struct survey {
    uint64_t bytes; /* of all that are left */
    uint64_t count;
};

static uint64_t bytes_of(const char *directory, const struct segment_list *list) {
    uint64_t bytes = 0;
    struct stat file;
    for (size_t i = 0; i < list->count; i++)
        if (stat(segment_path_of(directory, &list->names[i]).text, &file) == 0)
            bytes += (uint64_t) file.st_size;
    return bytes;
}

/* A closed file is not written any more. */
static int64_t age_ms(const struct stat *file) {
    return (clock_unix_us() - (int64_t) file->st_mtim.tv_sec * SECOND_US) / MS_US;
}

static bool is_exceeded(const struct retention *retention, const struct survey *left,
                        const struct stat *oldest) {
    return (retention->bytes_max != 0 && left->bytes > retention->bytes_max) ||
           (retention->segments_max != 0 && left->count > retention->segments_max) ||
           (retention->age_ms_max != 0 && age_ms(oldest) > retention->age_ms_max);
}

/* Frames with a part of a copy's plan: where the last one is, and so perhaps rows. */
static bool note_plan(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    lsn_t *plan_lsn = context;
    (void) offset;
    (void) err;
    if (frame->has_plan)
        *plan_lsn = frame->is_whole ? frame->end_lsn : UINT64_MAX;
    return true;
}

/*
 * Does a follower at needed_lsn need the segment? One that ends there may have a chunk of a copy at its end.
 */
static bool find_need(const char *directory, const struct segment_list *list, size_t index, lsn_t needed_lsn,
                      bool *ret_is_needed, struct error *err) {
    const lsn_t end_lsn = list->names[index + 1].first_lsn;
    struct segment segment = {.fd = -1};
    struct segment_end end;
    lsn_t plan_lsn = 0;
    *ret_is_needed = end_lsn > needed_lsn;
    if (end_lsn != needed_lsn)
        return true;
    const bool is_read = segment_open(directory, &list->names[index], false, &segment, err) &&
                         segment_find_end(&segment, note_plan, &plan_lsn, &end, err);
    segment_close(&segment);
    *ret_is_needed = plan_lsn >= end_lsn;
    return is_read;
}

static bool delete_old(const char *directory, const struct retention *retention,
                       const struct segment_list *list, lsn_t needed_lsn, struct error *err) {
    struct survey left = {.bytes = bytes_of(directory, list), .count = list->count};
    for (size_t i = 0; i + 1 < list->count; i++) {
        const struct segment_path path = segment_path_of(directory, &list->names[i]);
        struct stat file;
        if (stat(path.text, &file) != 0)
            return error_errno(err, "archive %s", path.text);
        bool is_needed = false;
        if (!is_exceeded(retention, &left, &file))
            return true;
        if (!find_need(directory, list, i, needed_lsn, &is_needed, err))
            return false;
        if (is_needed)
            return true;
        if (unlink(path.text) != 0)
            return error_errno(err, "archive %s", path.text);
        left.bytes -= (uint64_t) file.st_size;
        left.count--;
        FAULT_POINT("archive-segment-deleted");
    }
    return true;
}

static const struct follower *find_last(const struct follower_list *list) {
    const struct follower *last = NULL;
    for (size_t i = 0; i < list->count; i++)
        if (last == NULL || list->followers[i].lsn < last->lsn)
            last = &list->followers[i];
    return last;
}

static bool refuse_room(const char *directory, uint64_t bytes, uint64_t bytes_max,
                        const struct follower_list *followers, struct error *err) {
    const struct follower *last = find_last(followers);
    error_set(err, ERROR_RETRY, "archive %s: it has %s, and max_bytes is %s: nothing is read until %s%s",
              directory, amount_bytes((double) bytes).text, amount_bytes((double) bytes_max).text,
              last != NULL ? last->name : "old files are deleted",
              last != NULL ? " has read more of it" : "");
    return error_remedy(err, "raise max_bytes, if that disk has room");
}

bool retention_check_room(const char *directory, uint64_t bytes_max, struct error *err) {
    struct segment_list list = {0};
    struct follower_list followers = {0};
    bool has_room =
        segment_list_read(directory, &list, err) && follower_list_read(directory, &followers, err);
    const uint64_t bytes = has_room ? bytes_of(directory, &list) : 0;
    if (has_room && bytes >= bytes_max)
        has_room = refuse_room(directory, bytes, bytes_max, &followers, err);
    segment_list_release(&list);
    follower_list_release(&followers);
    return has_room;
}

bool retention_apply(const char *directory, const struct retention *retention, struct error *err) {
    struct segment_list list = {0};
    struct follower_list followers = {0};
    const bool is_applied = segment_list_read(directory, &list, err) &&
                            follower_list_read(directory, &followers, err) &&
                            delete_old(directory, retention, &list, follower_list_first(&followers), err);
    segment_list_release(&list);
    follower_list_release(&followers);
    return is_applied;
}
