/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_end.h - how far a segment counts: up to the last frame that ends with a commit.
 *
 * What follows is a transaction that was never committed, or a torn end. A writer cuts it off.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/archive/segment.h"

struct segment_end {
    uint64_t whole_bytes;    /* of the file, that count */
    uint64_t extra_bytes;    /* after them */
    lsn_t end_lsn;           /* the archive's position; 0: none */
    int64_t commit_time_us;  /* of the last commit in the segment, since 2000; 0: none */
    uint32_t relation_count; /* definitions up to there */
    bool is_copying;         /* there a copy in chunks is not complete */
    bool is_closed;          /* nothing will be added */
};

/* A frame that counts; also the index and the foot of a closed segment. */
typedef bool segment_visit_fn(void *context, uint64_t offset, const struct frame *frame, struct error *err);

/*
 * visit is called for the frames that count, in order; NULL: for none. The bytes of frames that may not be on
 * disk are read and checked, the others are not.
 */
MUST_CHECK bool segment_find_end(struct segment *segment, segment_visit_fn *visit, void *context,
                                 struct segment_end *ret_end, struct error *err);
