/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequence_place_test.c - ahead means in the direction of the increment, and within the range.
 */
#include "cdc/sequences/sequence_place.h"

#include <criterion/criterion.h>
#include <inttypes.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    struct sequence_range range;
    struct sequence_place from;
    uint64_t headroom;
    struct sequence_place ahead;
} AHEAD[] = {
    {{1, 1, INT64_MAX, false}, {10, true}, 1000, {1010, true}},
    {{1, 1, INT64_MAX, false}, {1, false}, 1000, {1001, true}},
    {{10, 1, INT64_MAX, false}, {11, true}, 1000, {10011, true}},
    {{-1, INT64_MIN, -1, false}, {-5, true}, 1000, {-1005, true}},
    {{1, 1, INT64_MAX, false}, {7, true}, 0, {7, true}},
    {{1, 1, INT64_MAX, false}, {1, false}, 0, {1, false}},
    /* a half of what is left */
    {{1, 1, 100, false}, {90, true}, 1000, {95, true}},
    {{1, 1, 100, false}, {99, true}, 1000, {99, true}},
    {{1, 1, 100, false}, {100, true}, 1000, {100, true}},
    {{-3, 1, 100, false}, {10, true}, 1000, {7, true}},
    {{1, 1, INT64_MAX, false}, {INT64_MAX - 4, true}, 1000, {INT64_MAX - 2, true}},
    {{-1, INT64_MIN, -1, false}, {INT64_MIN + 1, true}, 5, {INT64_MIN + 1, true}},
    {{INT64_MAX, INT64_MIN, INT64_MAX, false}, {INT64_MIN, true}, 5, {-1, true}},
    {{INT64_MIN, INT64_MIN, INT64_MAX, false}, {INT64_MAX, true}, 5, {INT64_MAX, true}},
    /* a cycle goes on at its other end */
    {{1, 1, 100, true}, {50, true}, 10, {60, true}},
    {{1, 1, 100, true}, {95, true}, 10, {5, true}},
    {{1, 1, 100, true}, {100, true}, 1, {1, true}},
    {{1, 1, 100, true}, {95, true}, 1000, {19, true}},
    {{-1, 1, 100, true}, {3, true}, 5, {98, true}},
    {{1, 1, 3, true}, {3, true}, 1000, {3, true}},
};

Test(sequence_place, the_place_ahead_is_in_the_range) {
    for (size_t i = 0; i < COUNT(AHEAD); i++) {
        const struct sequence_place ahead =
            sequence_place_ahead(&AHEAD[i].range, AHEAD[i].from, AHEAD[i].headroom);
        cr_expect_eq(ahead.last_value, AHEAD[i].ahead.last_value, "case %zu: %" PRId64, i, ahead.last_value);
        cr_expect_eq(ahead.is_called, AHEAD[i].ahead.is_called, "case %zu", i);
    }
}

Test(sequence_place, order_follows_the_increment) {
    const struct sequence_range up = {.increment = 2, .min = 1, .max = 100};
    const struct sequence_range down = {.increment = -2, .min = 1, .max = 100};
    const struct sequence_place a = {5, true}, b = {7, true}, fresh = {5, false};
    cr_assert_lt(sequence_place_compare(&up, a, b), 0);
    cr_assert_gt(sequence_place_compare(&down, a, b), 0);
    cr_assert_eq(sequence_place_compare(&down, a, a), 0);
    cr_assert_lt(sequence_place_compare(&up, fresh, a), 0, "a value that was not used yet is behind itself");
    cr_assert_lt(sequence_place_compare(&down, fresh, a), 0);
}

Test(sequence_place, a_cycle_is_ahead_for_a_quarter_at_most) {
    const struct sequence_range cycle = {.increment = 1, .min = 1, .max = 100, .cycles = true};
    const struct sequence_place place = {95, true};
    const struct {
        int64_t value;
        uint64_t headroom;
        bool is_after;
    } CASES[] = {{95, 10, true}, {96, 10, true},  {100, 10, true}, {1, 10, true},   {5, 10, true},
                 {6, 10, false}, {94, 10, false}, {19, 500, true}, {20, 500, false}};
    for (size_t i = 0; i < COUNT(CASES); i++)
        cr_expect_eq(sequence_place_is_shortly_after(&cycle, (struct sequence_place){CASES[i].value, true},
                                                     place, CASES[i].headroom),
                     CASES[i].is_after, "%" PRId64, CASES[i].value);
}

Test(sequence_place, what_is_ahead_in_a_cycle_is_shortly_after) {
    for (int64_t max = 1; max < 60; max++)
        for (int64_t increment = -4; increment <= 4; increment++)
            for (int64_t value = 1; increment != 0 && value <= max; value++)
                for (uint64_t headroom = 0; headroom < 20; headroom++) {
                    const struct sequence_range range = {increment, 1, max, true};
                    const struct sequence_place place = {value, true};
                    const struct sequence_place ahead = sequence_place_ahead(&range, place, headroom);
                    cr_assert(ahead.last_value >= 1 && ahead.last_value <= max);
                    cr_assert(sequence_place_is_shortly_after(&range, ahead, place, headroom),
                              "%" PRId64 " %" PRId64 " %" PRId64 " %" PRIu64, max, increment, value,
                              headroom);
                }
}
