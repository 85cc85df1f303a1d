/* SPDX-License-Identifier: Apache-2.0 */
/*
 * latency_test.c - a time is counted under the smallest bound that it does not exceed.
 */
#include <criterion/criterion.h>

#include "cdc/engine/latency.h"

static uint64_t place_of(int64_t took_us) {
    struct latency latency = {0};
    struct latency_view view;
    latency_note(&latency, took_us);
    latency_read(&latency, &view);
    for (size_t i = 0; i <= LATENCY_BOUNDS; i++)
        if (view.counts[i] == 1)
            return i;
    return UINT64_MAX;
}

Test(latency, a_bound_is_part_of_its_place) {
    for (size_t i = 0; i < LATENCY_BOUNDS; i++) {
        cr_assert_eq(place_of(LATENCY_BOUNDS_US[i]), i);
        cr_assert_eq(place_of(LATENCY_BOUNDS_US[i] + 1), i + 1);
    }
}

Test(latency, bounds_rise) {
    for (size_t i = 1; i < LATENCY_BOUNDS; i++)
        cr_assert_lt(LATENCY_BOUNDS_US[i - 1], LATENCY_BOUNDS_US[i]);
}

Test(latency, a_clock_that_is_behind_counts_as_no_time) {
    struct latency latency = {0};
    struct latency_view view;
    latency_note(&latency, -5000000);
    latency_note(&latency, 7);
    latency_read(&latency, &view);
    cr_assert_eq(view.counts[0], 2);
    cr_assert_eq(view.sum_us, 7);
}
