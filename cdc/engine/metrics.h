/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - what a pipeline has done since the process began.
 *
 * The metrics belong to the pipeline and outlive its attempts: a retry resets nothing. Each has one writer,
 * named here. Any thread may read them at any time, and may see one ahead of another.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

#include "cdc/engine/latency.h"
#include "cdc/engine/table_counts.h"

/* Written by the sink's runner. */
struct sink_metrics {
    atomic_ullong transactions; /* committed, so visible */
    atomic_ullong changes;      /* rows and truncates of these */
    atomic_ullong left_out;     /* rows among them that a condition of the mapping has left out */
    /* of the last one, by the source's clock, as PostgreSQL counts; 0: none yet */
    atomic_llong commit_time_us;
    atomic_ullong written_lsn; /* end of the last whole transaction that the sink was given */
    atomic_ullong visible_lsn; /* and that it has committed */
    atomic_ullong writes;      /* calls of the sink's write that have returned */
    atomic_bool is_busy;       /* a batch is being written or committed */
    atomic_bool is_open;       /* something was written that is not committed yet */
    /* Of each group: from its last transaction's commit at the source, and from its first write. */
    struct latency since_commit, since_write;
    struct table_counts *tables; /* NULL: they are not wanted */
};
