/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_table.h - moves the rows of one table from the pinned source session into the sink.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/copy/snapshot.h"
#include "cdc/copy/snapshot_rows.h"

struct snapshot_move {
    struct session *source;
    struct sink *sink;
    bool text_only; /* whatever the sink would take */
    struct snapshot_progress *progress;
    struct buffer chunk;        /* rows on their way to a sink that takes bytes */
    struct snapshot_rows *rows; /* NULL for such a sink */
    uint64_t rows_before;       /* progress when the table began */
    uint64_t bytes_before;
    uint64_t bytes_done_before;
};

/* A table that has no rows in the snapshot: nothing but the progress. */
void snapshot_skip_table(struct snapshot_move *move, const struct table *table);

MUST_CHECK bool snapshot_move_table(struct snapshot_move *move, const struct table *table, struct error *err);
