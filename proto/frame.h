/* SPDX-License-Identifier: Apache-2.0 */
/*
 * frame.h - the frames of a segment file: a head of fixed size, and bytes that are compressed by themselves.
 *
 * SEGMENT.md has the bytes. The head has a checksum of its own, so a file can be walked without reading what
 * is between the heads. Pure; any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

enum {
    FRAME_HEAD_BYTES = 64,
    /* PostgreSQL sends no message above 1 GiB, and an entry is little larger than its message */
    FRAME_PLAIN_BYTES_MAX = 1200 * 1024 * 1024,
};

enum frame_kind {
    FRAME_SEGMENT_HEAD = 'H',
    FRAME_ENTRIES = 'E',
    FRAME_INDEX = 'I',
    FRAME_FOOT = 'F', /* the end of a closed segment: without bytes, and synced_bytes is where the index is */
};

enum frame_codec {
    FRAME_CODEC_NONE = 'n',
    FRAME_CODEC_ZSTD = 'z',
};

struct frame {
    enum frame_kind kind;
    enum frame_codec codec;
    /* The frame ends with a commit: everything up to it counts. Frames after the last such one do not. */
    bool is_whole;
    /* A copy in chunks is not complete after the frame, which is whole: some tables lack rows. */
    bool is_copying;
    bool has_plan;           /* it has entries of that copy's plan */
    uint32_t stored_bytes;   /* after the head */
    uint32_t plain_bytes;    /* once decompressed */
    uint32_t checksum;       /* CRC-32 of the stored bytes */
    uint32_t relation_count; /* definitions in the segment, up to the end of this frame */
    lsn_t first_lsn;         /* the archive's position before the frame's first transaction */
    lsn_t end_lsn;           /* the position after the frame; 0 unless it is whole */
    int64_t commit_time_us;  /* of the last commit in the segment, since 2000; 0: none yet */
    uint64_t synced_bytes;   /* of the file, known to be on disk when the frame was written */
};

enum frame_result {
    FRAME_GOOD,
    FRAME_SHORT,   /* the bytes end before the head does */
    FRAME_DAMAGED, /* these are not a head, or one that was changed */
    FRAME_NEWER,   /* a whole head that only a newer pgcdc understands */
};

/* bytes: FRAME_HEAD_BYTES or more; fewer are FRAME_SHORT. */
MUST_CHECK enum frame_result frame_read_head(struct slice bytes, struct frame *ret_frame);

void frame_write_head(const struct frame *frame, char bytes[FRAME_HEAD_BYTES]);

uint32_t frame_checksum(struct slice stored);

struct frame_packer;

/* level: zstd's, 1 to 19. NULL when memory is exhausted. frame_packer_free accepts NULL. */
MUST_CHECK struct frame_packer *frame_packer_new(int level);
void frame_packer_free(struct frame_packer *packer);

/*
 * Appends head and bytes to file, whose size is the frame's offset or nothing. Sets codec, sizes and
 * checksum. ERROR_SYSTEM without memory.
 */
MUST_CHECK bool frame_pack(struct frame_packer *packer, struct frame *frame, struct slice plain,
                           struct buffer *file, struct error *err);

/*
 * stored: as many bytes as the head says. plain gets what they were. ERROR_PROTOCOL when they were changed.
 */
MUST_CHECK bool frame_unpack(const struct frame *frame, struct slice stored, struct buffer *plain,
                             struct error *err);
