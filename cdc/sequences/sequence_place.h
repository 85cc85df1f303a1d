/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence_place.h - how far a sequence is, and which value is ahead of it. Pure.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct sequence_place {
    int64_t last_value;
    bool is_called; /* false: last_value is the next value; true: it was the last one */
};

struct sequence_range {
    int64_t increment; /* never 0 */
    int64_t min, max;
    bool cycles;
};

/*
 * Negative, 0 or positive: a is behind, at or ahead of b, in the direction of the increment. Of no use where
 * a sequence cycles.
 */
int sequence_place_compare(const struct sequence_range *range, struct sequence_place a,
                           struct sequence_place b);

/*
 * The place that is headroom values after place. Near the end of the range it is fewer: a half of what is
 * left, so that the other side does not run out of values before this one does. A sequence that cycles goes
 * on at its other end, and by a quarter of its range at most.
 */
struct sequence_place sequence_place_ahead(const struct sequence_range *range, struct sequence_place place,
                                           uint64_t headroom);

/*
 * Of a sequence that cycles: is the place after this one by at most the headroom, or a quarter of the range?
 */
bool sequence_place_is_shortly_after(const struct sequence_range *range, struct sequence_place place,
                                     struct sequence_place before, uint64_t headroom);
