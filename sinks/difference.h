/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference.h - the keys that differ between the two sides.
 *
 * Each side is summed up as (key, count, hash): how many rows share the key, and the sum of their hashes,
 * which does not depend on their order. A key is a bucket of rows, or the hash of one row's key. Equal sums
 * leave no difference.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"

struct verify_sum {
    uint64_t count; /* 0: no such key on this side */
    int64_t hash;
};

struct verify_difference {
    int64_t key;
    struct verify_sum source;
    struct verify_sum target;
    unsigned int streak; /* the number of rounds, up to the last, in which it was exactly this */
};

/* Ordered by key; each key once. */
struct verify_differences {
    struct verify_difference *items;
    size_t count;
    size_t capacity;
};

void verify_differences_release(struct verify_differences *differences);

/* False: out of memory. */
MUST_CHECK bool verify_differences_append(struct verify_differences *differences,
                                          const struct verify_difference *difference);

/* Merges two results of (key, count, hash), each ordered by key; streaks begin at 1. */
MUST_CHECK bool verify_differences_read(struct verify_differences *differences, const PGresult *source,
                                        const PGresult *target, struct error *err);

/* NULL if the key does not differ. */
struct verify_difference *verify_differences_find(const struct verify_differences *differences, int64_t key);

/* Lower bounds: rows only at the source, only at the target, and on both sides with different values. */
struct verify_counts {
    uint64_t missing;
    uint64_t extra;
    uint64_t different;
};

void verify_counts_add(struct verify_counts *counts, const struct verify_difference *difference);
