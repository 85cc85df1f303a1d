/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.h - how often something took how long: counts by upper bound.
 *
 * One thread notes, any thread reads. A reader may see one count ahead of another.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#define LATENCY_BOUNDS 14

/* The upper bounds, in microseconds; what takes longer than the last one is counted after them. */
extern const int64_t LATENCY_BOUNDS_US[LATENCY_BOUNDS];

struct latency {
    atomic_ullong counts[LATENCY_BOUNDS + 1];
    atomic_ullong sum_us;
};

/* A copy of one. */
struct latency_view {
    uint64_t counts[LATENCY_BOUNDS + 1];
    uint64_t sum_us;
};

/* A time below zero, which two clocks can yield, counts as zero. */
void latency_note(struct latency *latency, int64_t took_us);

void latency_read(const struct latency *latency, struct latency_view *ret_view);
