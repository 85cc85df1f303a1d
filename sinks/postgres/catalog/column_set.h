/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_set.h - a set of a relation's columns, as bits; PostgreSQL has at most 1600 columns.
 */
#pragma once

#include <assert.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#define COLUMN_SET_WORDS 25u /* 1600 columns */

struct column_set {
    uint32_t count;      /* of columns in it */
    uint32_t word_count; /* words in use */
    uint64_t words[COLUMN_SET_WORDS];
};

/* An empty set for a relation of column_count columns. */
static inline void column_set_init(struct column_set *set, uint32_t column_count) {
    assert(column_count <= COLUMN_SET_WORDS * 64);
    set->count = 0;
    set->word_count = (column_count + 63) / 64;
    memset(set->words, 0, set->word_count * sizeof *set->words);
}

/* The column must not be in it yet. */
static inline void column_set_add(struct column_set *set, uint32_t column) {
    set->words[column / 64] |= UINT64_C(1) << column % 64;
    set->count++;
}

/* The column must be in it. */
static inline void column_set_remove(struct column_set *set, uint32_t column) {
    set->words[column / 64] &= ~(UINT64_C(1) << column % 64);
    set->count--;
}

static inline bool column_set_has(const struct column_set *set, uint32_t column) {
    return (set->words[column / 64] >> column % 64 & 1) != 0;
}

/* Adds the columns of other, a set for the same relation. */
static inline void column_set_unite(struct column_set *set, const struct column_set *other) {
    assert(set->word_count == other->word_count);
    set->count = 0;
    for (uint32_t i = 0; i < set->word_count; i++) {
        set->words[i] |= other->words[i];
        set->count += (uint32_t) __builtin_popcountll(set->words[i]);
    }
}

/* Do they have a column in common? Both are for the same relation. */
static inline bool column_set_meets(const struct column_set *a, const struct column_set *b) {
    uint64_t common = 0;
    for (uint32_t i = 0; i < a->word_count; i++)
        common |= a->words[i] & b->words[i];
    return common != 0;
}

static inline bool column_set_equal(const struct column_set *a, const struct column_set *b) {
    return a->count == b->count && a->word_count == b->word_count &&
           memcmp(a->words, b->words, a->word_count * sizeof *a->words) == 0;
}
