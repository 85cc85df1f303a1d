/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.c - walks a file by the heads of its frames.
 *
 * Is what cannot be read a torn end, or damage? After a power cut the pages of an end that was never synced
 * may be there or not, in any order. So later frames alone prove nothing; but each head says how much of the
 * file had been synced before the frame was written. If a later frame says so of this place, it is damage.
 */
#include "cdc/archive/segment.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEARCH_BYTES = 1024 * 1024, HEAD_BYTES_MAX = 64 * 1024 };

/* ---- errors ---- */

static bool segment_errno(const struct segment *segment, struct error *err) {
    return error_errno(err, "%s", segment->path.text);
}

bool segment_refuse(const struct segment *segment, uint64_t offset, lsn_t last_lsn, lsn_t next_lsn,
                    const char *problem, struct error *err) {
    if (next_lsn != 0)
        error_set(err, ERROR_REFUSE, "%s: damaged at byte %" PRIu64 ", with the changes from %s to %s: %s",
                  segment->path.text, offset, lsn_format(last_lsn).text, lsn_format(next_lsn).text, problem);
    else
        error_set(err, ERROR_REFUSE, "%s: damaged at byte %" PRIu64 ", with the changes from %s on: %s",
                  segment->path.text, offset, lsn_format(last_lsn).text, problem);
    return error_remedy(err,
                        segment->is_last
                            ? "restore the file from a copy; after a power failure, first start the pipeline "
                              "that writes it: it cuts off an end that was never complete"
                            : "restore the file from a copy");
}

/* ---- bytes ---- */

/* Fewer bytes than asked for: the file ends there. */
static bool read_at(const struct segment *segment, uint64_t offset, char *bytes, size_t size,
                    size_t *ret_size, struct error *err) {
    *ret_size = 0;
    while (*ret_size < size) {
        const ssize_t got =
            pread(segment->fd, bytes + *ret_size, size - *ret_size, (off_t) (offset + *ret_size));
        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return segment_errno(segment, err);
        if (got == 0)
            return true;
        *ret_size += (size_t) got;
    }
    return true;
}

static bool size_of(const struct segment *segment, uint64_t *ret_size, struct error *err) {
    struct stat file;
    if (fstat(segment->fd, &file) != 0)
        return segment_errno(segment, err);
    *ret_size = (uint64_t) file.st_size;
    return true;
}

/* ---- a place that cannot be read ---- */

/* Does a head in these bytes say that the offset was synced? *ret_lsn: where readable changes begin. */
static bool find_claim(struct slice bytes, uint64_t offset, lsn_t *ret_lsn) {
    struct frame frame;
    for (size_t i = 0; i + FRAME_HEAD_BYTES <= bytes.size; i++) {
        const char *magic = memchr(bytes.data + i, 'P', bytes.size - FRAME_HEAD_BYTES + 1 - i);
        if (magic == NULL)
            return false;
        i = (size_t) (magic - bytes.data);
        const struct slice left = {.data = magic, .size = bytes.size - i};
        if (frame_read_head(left, &frame) == FRAME_GOOD && frame.kind != FRAME_FOOT &&
            frame.synced_bytes > offset) {
            *ret_lsn = frame.first_lsn;
            return true;
        }
    }
    return false;
}

static bool search_claim(const struct segment *segment, uint64_t offset, bool *ret_found, lsn_t *ret_lsn,
                         struct error *err) {
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = SEARCH_BYTES + FRAME_HEAD_BYTES};
    size_t size = 0;
    *ret_found = false;
    if (!buffer_reserve(&bytes, SEARCH_BYTES + FRAME_HEAD_BYTES))
        return error_no_memory(err);
    for (uint64_t at = offset + 1; !*ret_found; at += SEARCH_BYTES) {
        if (!read_at(segment, at, bytes.data, SEARCH_BYTES + FRAME_HEAD_BYTES, &size, err))
            return false;
        *ret_found = find_claim((struct slice){.data = bytes.data, .size = size}, offset, ret_lsn);
        if (size < SEARCH_BYTES + FRAME_HEAD_BYTES)
            break;
    }
    return true;
}

static bool judge_place(const struct segment *segment, uint64_t offset, lsn_t last_lsn, const char *problem,
                        enum segment_step *ret_step, struct error *err) {
    lsn_t claim_lsn = 0;
    bool is_claimed = false;
    *ret_step = SEGMENT_TORN;
    if (!search_claim(segment, offset, &is_claimed, &claim_lsn, err))
        return false;
    return (!is_claimed && segment->is_last) ||
           segment_refuse(segment, offset, last_lsn, claim_lsn, problem, err);
}

/* ---- frames ---- */

bool segment_look(const struct segment *segment, uint64_t offset, lsn_t last_lsn, struct frame *ret_frame,
                  enum segment_step *ret_step, struct error *err) {
    char head[FRAME_HEAD_BYTES];
    size_t size = 0;
    uint64_t file_size = 0;
    if (!read_at(segment, offset, head, sizeof head, &size, err))
        return false;
    *ret_step = SEGMENT_END;
    if (size == 0)
        return true;
    switch (frame_read_head((struct slice){.data = head, .size = size}, ret_frame)) {
    case FRAME_GOOD:
        break;
    case FRAME_SHORT:
    case FRAME_DAMAGED:
        return judge_place(segment, offset, last_lsn, "this is not the head of a frame", ret_step, err);
    case FRAME_NEWER:
        return error_set(err, ERROR_CONFIG, "%s: a newer pgcdc wrote the frame at byte %" PRIu64,
                         segment->path.text, offset) ||
               error_remedy(err, "use a newer pgcdc");
    }
    if (!size_of(segment, &file_size, err))
        return false;
    *ret_step = SEGMENT_FRAME;
    return segment_after(offset, ret_frame) <= file_size ||
           judge_place(segment, offset, last_lsn, "the file ends inside a frame", ret_step, err);
}

bool segment_read(struct segment *segment, uint64_t offset, const struct frame *frame, struct buffer *plain,
                  struct error *err) {
    size_t size = 0;
    buffer_reset(&segment->stored);
    if (!buffer_reserve(&segment->stored, frame->stored_bytes))
        return error_no_memory(err);
    if (frame->stored_bytes > 0 &&
        !read_at(segment, offset + FRAME_HEAD_BYTES, segment->stored.data, frame->stored_bytes, &size, err))
        return false;
    struct error reason = {0};
    const struct slice stored = {.data = segment->stored.data, .size = frame->stored_bytes};
    if (size == frame->stored_bytes && frame_unpack(frame, stored, plain, &reason))
        return true;
    if (reason.kind == ERROR_SYSTEM)
        return error_set(err, ERROR_SYSTEM, "%s: %s", segment->path.text, reason.text);
    return segment_refuse(segment, offset, frame->first_lsn, frame->end_lsn,
                          size == frame->stored_bytes ? reason.text : "the file ends inside a frame", err);
}

bool segment_find_index(const struct segment *segment, bool *ret_is_closed, uint64_t *ret_offset,
                        struct error *err) {
    char head[FRAME_HEAD_BYTES];
    size_t size = 0;
    uint64_t file_size = 0;
    struct frame foot;
    *ret_is_closed = false;
    if (!size_of(segment, &file_size, err))
        return false;
    if (file_size < FRAME_HEAD_BYTES)
        return true;
    if (!read_at(segment, file_size - FRAME_HEAD_BYTES, head, sizeof head, &size, err))
        return false;
    if (frame_read_head((struct slice){.data = head, .size = size}, &foot) != FRAME_GOOD ||
        foot.kind != FRAME_FOOT)
        return true;
    *ret_is_closed = true;
    *ret_offset = foot.synced_bytes;
    return true;
}

/* ---- life ---- */

/* The head is on disk before the file gets its name, so here nothing is torn. */
static bool read_head(struct segment *segment, struct error *err) {
    struct buffer plain AUTO(buffer_release) = {.bytes_max = HEAD_BYTES_MAX};
    struct frame frame;
    enum segment_step step;
    const bool is_last = segment->is_last;
    segment->is_last = false;
    const bool is_found = segment_look(segment, 0, segment->name.first_lsn, &frame, &step, err);
    segment->is_last = is_last;
    if (!is_found)
        return false;
    if (step != SEGMENT_FRAME || frame.kind != FRAME_SEGMENT_HEAD || frame.plain_bytes > HEAD_BYTES_MAX)
        return segment_refuse(segment, 0, segment->name.first_lsn, 0, "it does not begin with its head", err);
    if (!segment_read(segment, 0, &frame, &plain, err))
        return false;
    if (!segment_head_read(buffer_slice(&plain), &segment->head, err))
        return error_wrap(err, "%s", segment->path.text);
    segment->first_offset = segment_after(0, &frame);
    return (segment->head.number == segment->name.number &&
            segment->head.first_lsn == segment->name.first_lsn) ||
           segment_refuse(segment, 0, segment->name.first_lsn, 0, "it has the name of another segment", err);
}

bool segment_open(const char *directory, const struct segment_name *name, bool is_last,
                  struct segment *ret_segment, struct error *err) {
    *ret_segment = (struct segment){
        .path = segment_path_of(directory, name), .name = *name, .is_last = is_last, .fd = -1};
    buffer_init(&ret_segment->stored, FRAME_PLAIN_BYTES_MAX);
    ret_segment->fd = open(ret_segment->path.text, O_RDONLY | O_CLOEXEC);
    if (ret_segment->fd < 0)
        return segment_errno(ret_segment, err);
    return read_head(ret_segment, err);
}

void segment_close(struct segment *segment) {
    if (segment->fd > 0)
        close(segment->fd);
    segment->fd = -1;
    buffer_release(&segment->stored);
}
