/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence_place.c - counts in values of the sequence, which fit in 64 bits whatever its range is.
 */
#include "cdc/sequences/sequence_place.h"

static bool goes_up(const struct sequence_range *range) {
    return range->increment > 0;
}

static uint64_t distance(int64_t from, int64_t to) {
    return from < to ? (uint64_t) to - (uint64_t) from : (uint64_t) from - (uint64_t) to;
}

static uint64_t step(const struct sequence_range *range) {
    return goes_up(range) ? (uint64_t) range->increment : UINT64_C(0) - (uint64_t) range->increment;
}

static int64_t moved(const struct sequence_range *range, int64_t value, uint64_t count) {
    return (int64_t) ((uint64_t) value + count * (uint64_t) range->increment);
}

static int64_t first_value(const struct sequence_range *range) {
    return goes_up(range) ? range->min : range->max;
}

static int64_t final_value(const struct sequence_range *range) {
    return goes_up(range) ? range->max : range->min;
}

static uint64_t headroom_in_cycle(const struct sequence_range *range, uint64_t headroom) {
    const uint64_t most = distance(range->min, range->max) / step(range) / 4;
    return headroom < most ? headroom : most;
}

static uint64_t steps_left(const struct sequence_range *range, int64_t value) {
    return distance(value, final_value(range)) / step(range);
}

int sequence_place_compare(const struct sequence_range *range, struct sequence_place a,
                           struct sequence_place b) {
    if (a.last_value == b.last_value)
        return (int) a.is_called - (int) b.is_called;
    return (a.last_value > b.last_value) == goes_up(range) ? 1 : -1;
}

struct sequence_place sequence_place_ahead(const struct sequence_range *range, struct sequence_place place,
                                           uint64_t headroom) {
    const uint64_t left = steps_left(range, place.last_value);
    if (!range->cycles) {
        const uint64_t count = headroom < left / 2 ? headroom : left / 2;
        return count == 0 ? place
                          : (struct sequence_place){moved(range, place.last_value, count), .is_called = true};
    }
    const uint64_t count = headroom_in_cycle(range, headroom);
    if (count == 0)
        return place;
    return (struct sequence_place){.last_value = count <= left
                                                     ? moved(range, place.last_value, count)
                                                     : moved(range, first_value(range), count - left - 1),
                                   .is_called = true};
}

bool sequence_place_is_shortly_after(const struct sequence_range *range, struct sequence_place place,
                                     struct sequence_place before, uint64_t headroom) {
    const uint64_t most = headroom_in_cycle(range, headroom);
    if (place.last_value == before.last_value)
        return place.is_called >= before.is_called;
    if (sequence_place_compare(range, place, before) > 0)
        return distance(before.last_value, place.last_value) / step(range) <= most;
    const uint64_t rest = steps_left(range, before.last_value);
    return rest < most && distance(first_value(range), place.last_value) / step(range) <= most - rest - 1;
}
