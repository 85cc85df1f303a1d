/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment.h - a segment file that is read: its frames, one after the other.
 *
 * A file that is being written may end anywhere: what is not a whole frame there is a torn end, and what it
 * would have held was never called durable. Anything else that is not as it was written is damage,
 * ERROR_REFUSE, with the file, the offset and the LSNs between which changes are lost.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/archive/segment_list.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "proto/frame.h"
#include "proto/segment_head.h"

struct segment {
    struct segment_path path;
    struct segment_name name;
    int fd; /* -1: none */
    struct segment_head head;
    uint64_t first_offset; /* of the first frame after the head */
    bool is_last;          /* no later segment exists, so the end may be torn */
    struct buffer stored;
};

/* The caller closes it, also after an error. A zeroed segment may be closed. */
MUST_CHECK bool segment_open(const char *directory, const struct segment_name *name, bool is_last,
                             struct segment *ret_segment, struct error *err);
void segment_close(struct segment *segment);

enum segment_step {
    SEGMENT_FRAME,
    SEGMENT_END,  /* nothing follows */
    SEGMENT_TORN, /* something that is not a whole frame follows; of the last segment only */
};

/*
 * The head of the frame at this offset, all of whose bytes are in the file; they are not checked. last_lsn:
 * the position before it, for messages.
 */
MUST_CHECK bool segment_look(const struct segment *segment, uint64_t offset, lsn_t last_lsn,
                             struct frame *ret_frame, enum segment_step *ret_step, struct error *err);

/* The offset after the frame. */
static inline uint64_t segment_after(uint64_t offset, const struct frame *frame) {
    return offset + FRAME_HEAD_BYTES + frame->stored_bytes;
}

/* The frame's bytes. */
MUST_CHECK bool segment_read(struct segment *segment, uint64_t offset, const struct frame *frame,
                             struct buffer *plain, struct error *err);

/* Is it closed, so that nothing will be added? Then *ret_offset is where its index is. */
MUST_CHECK bool segment_find_index(const struct segment *segment, bool *ret_is_closed, uint64_t *ret_offset,
                                   struct error *err);

/* ERROR_REFUSE: the damage, for what is found from this offset on. */
bool segment_refuse(const struct segment *segment, uint64_t offset, lsn_t last_lsn, lsn_t next_lsn,
                    const char *problem, struct error *err);
