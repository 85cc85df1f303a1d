/* SPDX-License-Identifier: Apache-2.0 */
/*
 * segment_writer.h - appends frames to the last segment of an archive, and begins new segments.
 *
 * One writer an archive: it locks the directory. What is on disk counts up to the last whole frame. A frame
 * that was appended is durable after segment_writer_sync.
 *
 * After an error only segment_writer_close is called. A full disk is ERROR_RETRY; the next open cuts off what
 * was not written whole.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/archive/segment_end.h"
#include "cdc/base/buffer.h"
#include "proto/entry.h"
#include "proto/frame.h"
#include "proto/segment_head.h"

struct segment_writer {
    const char *directory; /* not owned */
    int lock_fd;           /* -1: none */
    int fd;                /* of the segment that is written; -1: the next frame begins one */
    struct segment_path path;
    struct segment_head head;
    uint64_t last_number;   /* of the last segment, open or closed; 0: there is none */
    uint64_t size;          /* where the next frame goes */
    uint64_t synced;        /* so much of the file is on disk */
    bool ends_whole;        /* the last frame was whole, so the next one is a place for the index */
    lsn_t end_lsn;          /* the archive's position; 0: none */
    int64_t commit_time_us; /* of the last commit in the segment */
    struct frame_packer *packer;
    struct buffer file; /* a frame's bytes */
    struct segment_place *places;
    size_t place_count;
    size_t place_capacity;
};

/*
 * Creates the directory if it is missing, locks it, and finds the end of the last segment. entries learns
 * its definitions. head: of the archive, for the pipeline and the sink; an archive of another one is
 * ERROR_CONFIG.
 */
MUST_CHECK bool segment_writer_open(struct segment_writer *writer, const char *directory,
                                    const struct segment_head *head, int level, struct entry_writer *entries,
                                    struct error *err);
void segment_writer_close(struct segment_writer *writer);

/* The next frame begins a new segment: entry_writer_begin_segment must be called. */
static inline bool segment_writer_is_at_end(const struct segment_writer *writer) {
    return writer->fd < 0;
}

/* Begins a segment. head: its source. */
MUST_CHECK bool segment_writer_begin(struct segment_writer *writer, const struct segment_head *head,
                                     struct error *err);

/*
 * Appends a frame with these entries. frame: is_whole, first_lsn, end_lsn, commit_time_us and relation_count
 * are set.
 */
MUST_CHECK bool segment_writer_append(struct segment_writer *writer, struct frame *frame, struct slice plain,
                                      struct error *err);

/* Everything appended is on disk then. */
MUST_CHECK bool segment_writer_sync(struct segment_writer *writer, struct error *err);

/* After a whole frame: writes the index, and nothing more goes into the segment. */
MUST_CHECK bool segment_writer_end(struct segment_writer *writer, struct slice definitions,
                                   struct error *err);
