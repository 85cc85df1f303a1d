/* SPDX-License-Identifier: Apache-2.0 */
/*
 * metrics.h - what a pipeline has done since the process began.
 *
 * They belong to the pipeline and outlive its attempts: a retry resets nothing. Each has one writer, named
 * here, and may be read by any thread at any time; a reader may see one of them ahead of another.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>

/* Written by the sink's runner. */
struct sink_metrics {
    atomic_ullong transactions;  /* committed, so visible */
    atomic_ullong changes;       /* rows and truncates of these */
    atomic_llong commit_time_us; /* of the last one at the source, as PostgreSQL counts; 0: none yet */
};
