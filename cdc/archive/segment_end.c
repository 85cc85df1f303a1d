/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_end.c - three walks: to the first thing that is not a frame; among the frames that were perhaps not
 * synced, to the first whose bytes are not there; and over those that count.
 */
#include "cdc/archive/segment_end.h"

#include <sys/stat.h>

/* ---- a walk ---- */

struct walk {
    struct segment *segment;
    uint64_t until; /* 0: no limit */
    segment_visit_fn *visit;
    void *context;
    /* Where it ended. */
    uint64_t offset;
    lsn_t last_lsn;
};

static bool walk_on(struct walk *walk, struct error *err) {
    walk->offset = walk->segment->first_offset;
    walk->last_lsn = walk->segment->head.first_lsn;
    while (walk->until == 0 || walk->offset < walk->until) {
        struct frame frame;
        enum segment_step step;
        if (!segment_look(walk->segment, walk->offset, walk->last_lsn, &frame, &step, err))
            return false;
        if (step != SEGMENT_FRAME)
            return true;
        if (walk->visit != NULL && !walk->visit(walk->context, walk->offset, &frame, err))
            return false;
        walk->last_lsn = frame.is_whole ? frame.end_lsn : frame.first_lsn;
        walk->offset = segment_after(walk->offset, &frame);
    }
    return true;
}

/* ---- what was synced ---- */

static bool note_synced(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    uint64_t *synced = context;
    (void) offset;
    (void) err;
    if (frame->kind != FRAME_FOOT && frame->synced_bytes > *synced)
        *synced = frame->synced_bytes;
    return true;
}

/* ---- what is there ---- */

struct checking {
    struct segment *segment;
    struct buffer plain;
    uint64_t synced;
    uint64_t torn_at; /* 0: every frame is there */
};

/* After a frame that is not there, everything is torn. */
static bool check_frame(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct checking *checking = context;
    struct error problem = {0};
    if (offset < checking->synced || checking->torn_at != 0)
        return true;
    if (segment_read(checking->segment, offset, frame, &checking->plain, &problem))
        return true;
    if (problem.kind != ERROR_REFUSE || !checking->segment->is_last) {
        *err = problem;
        return false;
    }
    checking->torn_at = offset;
    return true;
}

/* ---- what counts ---- */

static bool note_whole(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct segment_end *end = context;
    (void) err;
    if (frame->kind == FRAME_INDEX || frame->kind == FRAME_FOOT) {
        end->is_closed = frame->kind == FRAME_FOOT;
        if (end->is_closed)
            end->whole_bytes = segment_after(offset, frame);
    }
    if (!frame->is_whole)
        return true;
    end->whole_bytes = segment_after(offset, frame);
    end->end_lsn = frame->end_lsn;
    end->commit_time_us = frame->commit_time_us;
    end->relation_count = frame->relation_count;
    end->is_copying = frame->is_copying;
    return true;
}

static bool walk_three_times(struct checking *checking, segment_visit_fn *visit, void *context,
                             struct segment_end *end, struct error *err) {
    struct segment *segment = checking->segment;
    struct walk all = {.segment = segment, .visit = note_synced, .context = &checking->synced};
    if (!walk_on(&all, err))
        return false;
    struct walk checks = {.segment = segment, .until = all.offset, .visit = check_frame, .context = checking};
    if (!walk_on(&checks, err))
        return false;
    const uint64_t present = checking->torn_at != 0 ? checking->torn_at : all.offset;
    struct walk counts = {.segment = segment, .until = present, .visit = note_whole, .context = end};
    if (!walk_on(&counts, err))
        return false;
    struct walk visits = {.segment = segment, .until = end->whole_bytes, .visit = visit, .context = context};
    return visit == NULL || walk_on(&visits, err);
}

bool segment_find_end(struct segment *segment, segment_visit_fn *visit, void *context,
                      struct segment_end *ret_end, struct error *err) {
    struct checking checking = {.segment = segment};
    struct stat file;
    *ret_end = (struct segment_end){.whole_bytes = segment->first_offset, .end_lsn = segment->head.first_lsn};
    buffer_init(&checking.plain, FRAME_PLAIN_BYTES_MAX);
    const bool is_found = walk_three_times(&checking, visit, context, ret_end, err);
    buffer_release(&checking.plain);
    if (!is_found)
        return false;
    if (fstat(segment->fd, &file) != 0)
        return error_errno(err, "%s", segment->path.text);
    ret_end->extra_bytes = (uint64_t) file.st_size - ret_end->whole_bytes;
    return true;
}
