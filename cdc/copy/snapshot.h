/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - the initial copy: every row that was there when the slot began, into one sink.
 *
 * Runs on the sink's runner thread with a source session of its own, pinned to the snapshot that the slot's
 * creation exported; that session must stay idle and open meanwhile. Proves that it is pinned before it
 * reads. The whole copy is one atomic step of the sink, which ends with the position; an interrupted copy
 * leaves nothing there.
 */
#pragma once

#include "cdc/base/position.h"
#include "cdc/config/config.h"
#include "sinks/sink.h"

#define SNAPSHOT_TABLE_MAX 128 /* "schema.name": two names of 63 bytes, a dot, a NUL */

/* How far the copy is; written by the runner thread, read by any, and worth a look, not a decision. */
struct snapshot_progress {
    atomic_ullong rows;
    atomic_ullong bytes;          /* moved */
    atomic_ullong bytes_estimate; /* of all tables, on the source's disk: what percentages are taken of */
    atomic_ullong bytes_done;     /* of bytes_estimate */
    atomic_uint tables_done;
    atomic_uint table_count;                                              /* 0: not known yet */
    atomic_ullong table[SNAPSHOT_TABLE_MAX / sizeof(unsigned long long)]; /* see snapshot_progress_table */
};

/* The table being copied, "" when there is none. The name may be torn when it changes at this moment. */
void snapshot_progress_table(const struct snapshot_progress *progress, char ret_table[SNAPSHOT_TABLE_MAX]);

/*
 * position: the slot's consistent point. Table list and rows come from the same snapshot; the bytes are
 * binary where types and sink allow it. Errors of either side; the sink must then be closed. ERROR_RETRY when
 * the snapshot is gone or a table was rewritten since: with a new slot.
 */
MUST_CHECK bool snapshot_copy(const struct config *config, const char *snapshot_name, struct sink *sink,
                              bool text_only, const struct position *position,
                              struct snapshot_progress *progress, const atomic_bool *stop, struct error *err);
