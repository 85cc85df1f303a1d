/* SPDX-License-Identifier: Apache-2.0 */
/*
 * read_rate.c - pauses in small steps.
 */
#include "sinks/kafka/verify/read_rate.h"

#include "cdc/base/clock.h"

enum { STEP_MS = 50, PERIOD_MS = 10000 };

bool read_rate_spend(struct read_rate *rate, uint64_t bytes, struct error *err) {
    if (atomic_load_explicit(rate->stop, memory_order_relaxed))
        return error_set(err, ERROR_STOPPED, "stopped");
    if (rate->bytes_max == 0)
        return true;
    const int64_t now_ms = clock_now_ms();
    if (rate->since_ms == 0 || now_ms - rate->since_ms > PERIOD_MS) {
        rate->since_ms = now_ms;
        rate->bytes = 0;
    }
    rate->bytes += bytes;
    const int64_t due_ms =
        rate->since_ms + (int64_t) ((double) rate->bytes * 1000 / (double) rate->bytes_max);
    while (clock_now_ms() < due_ms) {
        clock_pause_ms(STEP_MS);
        if (atomic_load_explicit(rate->stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
    }
    return true;
}
