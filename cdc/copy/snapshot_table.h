/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_table.h - copies the rows of one table from the source session with the imported snapshot into the
 * sink.
 */
#pragma once

#include "cdc/copy/copy_bytes.h"
#include "cdc/copy/snapshot.h"
#include "cdc/copy/snapshot_rows.h"

struct snapshot_move {
    struct session *source;
    struct sink *sink;
    bool text_only; /* even if the sink accepts binary */
    struct snapshot_progress *progress;
    struct copy_bytes bytes;    /* for a sink that accepts bytes */
    struct snapshot_rows *rows; /* NULL for a sink that accepts bytes */
    uint64_t rows_before;       /* progress when the table began */
    uint64_t bytes_before;
    uint64_t bytes_done_before;
};

/* A table without rows in the snapshot: only the progress advances. */
void snapshot_skip_table(struct snapshot_move *move, const struct table *table);

MUST_CHECK bool snapshot_move_table(struct snapshot_move *move, const struct table *table, struct error *err);
