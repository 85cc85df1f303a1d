/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference.h - the keys that differ between source and sink.
 *
 * Each side is summed up as (key, count, hash): how many rows share the key, and the sum of their hashes,
 * which does not depend on their order. A key is a bucket of rows, or the hash of one row's key. Equal sums
 * leave no difference.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"

struct difference_sum {
    uint64_t count; /* 0: no such key on this side */
    int64_t hash;
};

struct difference {
    int64_t key;
    struct difference_sum source;
    struct difference_sum target; /* the sink's */
    unsigned int streak; /* of cdc/verify: the rounds, up to the last, in which it was exactly this; from 1 */
};

/* Ordered by key; each key once. */
struct differences {
    struct difference *items;
    size_t count;
    size_t capacity;
};

void differences_release(struct differences *differences);

/* False: out of memory. */
MUST_CHECK bool differences_append(struct differences *differences, const struct difference *difference);

/* NULL if the key does not differ. */
struct difference *differences_find(const struct differences *differences, int64_t key);

/*
 * Sums of hashes are numbers modulo the largest bigint. The sum of a table is the same however it is divided.
 */
#define HASH_SUM_MODULUS INT64_MAX

int64_t hash_sum_add(int64_t sum, int64_t hash);
int64_t hash_sum_subtract(int64_t sum, int64_t hash);

/* Lower bounds: rows only at the source, only at the target, and on both sides with different values. */
struct difference_counts {
    uint64_t missing;
    uint64_t extra;
    uint64_t different;
};

void difference_counts_add(struct difference_counts *counts, const struct difference *difference);
