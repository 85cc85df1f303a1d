/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_head.h - what the first frame of a segment file says about it, and the index of the last one.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

enum { SEGMENT_VERSION = 1 };

/* Texts may be longer than here in a damaged file only, which is refused. */
struct segment_head {
    char pipeline[64];
    char sink[64];
    uint64_t system_id;
    uint32_t timeline;
    char database[64];
    uint64_t number;
    lsn_t first_lsn;
    int64_t created_time_us; /* since 1970 */
    char program[64];
};

/* Appends the bytes of a SegmentHead. */
MUST_CHECK bool segment_head_write(const struct segment_head *head, struct buffer *plain, struct error *err);

/*
 * ERROR_PROTOCOL for bytes that are no SegmentHead; ERROR_CONFIG for a version that this pgcdc does not
 * know.
 */
MUST_CHECK bool segment_head_read(struct slice plain, struct segment_head *ret_head, struct error *err);

/* A frame that begins with a transaction. */
struct segment_place {
    uint64_t offset;
    lsn_t first_lsn;
    int64_t commit_time_us; /* of the last commit before it in the segment, since 2000; 0: none */
};

/* definitions: as entry_writer has them. */
MUST_CHECK bool segment_index_write(const struct segment_place *places, size_t count,
                                    struct slice definitions, struct buffer *plain, struct error *err);

/* *ret_places is in arena. entry_reader_take_index reads the definitions. */
MUST_CHECK bool segment_index_read(struct slice plain, struct arena *arena, struct segment_place **ret_places,
                                   size_t *ret_count, struct error *err);
