/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.h - the archive sink's own parts, for the files of this folder.
 */
#pragma once

#include "sinks/archive/archive_options.h"
#include "sinks/archive/archive_plan.h"
#include "sinks/archive/segment_writer.h"
#include "sinks/sink.h"

struct archive_sink {
    struct sink sink;
    struct archive_options options;
    struct segment_writer writer;
    struct entry_writer entries;
    struct archive_plan plan;
    struct buffer plain;      /* entries of the next frame */
    bool has_plan;            /* some of them are the plan's */
    lsn_t passed_lsn;         /* the end of the last transaction before the next frame's entries */
    lsn_t next_passed_lsn;    /* and among them */
    bool has_part;            /* frames of the open group were written */
    int64_t retained_ms;      /* when old segments were last looked for */
    int64_t segment_since_ms; /* when this process began, or opened, the segment */
    struct position source;   /* of its system_id and timeline only: where the next frame is from */
    struct position visible;
    struct position durable;
};

/* Before an entry: begins a frame when none is begun, and a segment when it is due. */
MUST_CHECK bool archive_prepare_entry(struct archive_sink *archive, struct error *err);
/* After an entry: writes the frame when it is large. */
MUST_CHECK bool archive_end_entry(struct archive_sink *archive, struct error *err);

/* Appends the whole plan to the group. */
MUST_CHECK bool archive_write_plan(struct archive_sink *archive, struct error *err);

extern const struct sink_chunk_ops ARCHIVE_CHUNK;
