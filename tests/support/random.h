/* SPDX-License-Identifier: Apache-2.0 */
/*
 * random.h - random programs that can be run again: the seed is printed, and PGCDC_TEST_SEED sets it.
 */
#pragma once

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/clock.h"

struct random {
    uint64_t state;
};

static inline uint64_t random_next(struct random *random) { /* splitmix64 */
    uint64_t mixed = random->state += UINT64_C(0x9e3779b97f4a7c15);
    mixed = (mixed ^ mixed >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ mixed >> 27) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ mixed >> 31;
}

/* 0 … limit - 1; limit is at least 1. */
static inline uint32_t random_below(struct random *random, uint32_t limit) {
    return (uint32_t) (random_next(random) % limit);
}

static inline struct random random_start(const char *test) {
    const char *given = getenv("PGCDC_TEST_SEED");
    uint64_t seed = given != NULL ? strtoull(given, NULL, 10) : (uint64_t) clock_postgres_us();
    fprintf(stderr, "%s: PGCDC_TEST_SEED=%" PRIu64 "\n", test, seed);
    return (struct random){.state = seed};
}
