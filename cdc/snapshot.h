/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - the initial copy: every row that was there when the slot began, into one sink.
 *
 * Runs on the sink's runner thread with a source session of its own, pinned to the snapshot that the slot's creation
 * exported; that session must stay idle and open meanwhile. Proves that it is pinned before it reads. The whole copy is one atomic
 * step of the sink, which ends with the position; an interrupted copy leaves nothing there.
 */
#pragma once

#include "cdc/base/position.h"
#include "cdc/config.h"
#include "sinks/sink.h"

/* How far the copy is; written by the runner thread, read by any. */
struct snapshot_progress {
    atomic_ullong rows;
    atomic_ullong bytes;
    atomic_ullong bytes_estimate;
    atomic_uint tables_done;
    atomic_uint table_count;
    _Atomic(const char *) table; /* "schema.name" being copied, or NULL; lives until the snapshot returns */
};

/*
 * position: the slot's consistent point. binary: may the bytes be binary where the sink agrees?
 * Table list and rows come from the same snapshot. Errors of either side; the sink must then be closed.
 */
MUST_CHECK bool snapshot_copy(const struct config *config, const char *snapshot_name, struct sink *sink,
                              const struct position *position, struct snapshot_progress *progress,
                              const atomic_bool *stop, struct error *err);
