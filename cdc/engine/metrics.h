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

/* Written by the sink's runner. */
struct sink_metrics {
    atomic_ullong transactions; /* committed, so visible */
    atomic_ullong changes;      /* rows and truncates of these */
    atomic_ullong left_out;     /* rows among them that a condition of the mapping has left out */
    /* of the last one, by the source's clock, as PostgreSQL counts; 0: none yet */
    atomic_llong commit_time_us;
};
