/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency.c - from 5 ms, a commit nearby, to 5 min, when an alarm is long due.
 */
#include "cdc/engine/latency.h"

const int64_t LATENCY_BOUNDS_US[LATENCY_BOUNDS] = {5000,     10000,    25000,    50000,    100000,
                                                   250000,   500000,   1000000,  2500000,  5000000,
                                                   10000000, 30000000, 60000000, 300000000};

/* There is one writer, so a load and a store will do. */
static void latency_add(atomic_ullong *counter, uint64_t count) {
    const uint64_t before = atomic_load_explicit(counter, memory_order_relaxed);
    atomic_store_explicit(counter, before + count, memory_order_relaxed);
}

void latency_note(struct latency *latency, int64_t took_us) {
    size_t i = 0;
    while (i < LATENCY_BOUNDS && took_us > LATENCY_BOUNDS_US[i])
        i++;
    latency_add(&latency->counts[i], 1);
    latency_add(&latency->sum_us, took_us > 0 ? (uint64_t) took_us : 0);
}

void latency_read(const struct latency *latency, struct latency_view *ret_view) {
    for (size_t i = 0; i <= LATENCY_BOUNDS; i++)
        ret_view->counts[i] = atomic_load_explicit(&latency->counts[i], memory_order_relaxed);
    ret_view->sum_us = atomic_load_explicit(&latency->sum_us, memory_order_relaxed);
}
