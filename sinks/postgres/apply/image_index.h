/* SPDX-License-Identifier: Apache-2.0 */
/*
 * image_index.h - rows without a key, found by all their values. Several may be identical.
 *
 * Values are compared byte by byte, as the source sent them. Identical rows are interchangeable: a search
 * returns the one added last.
 */
#pragma once

#include "sinks/postgres/apply/effect_index.h"

/* Chains of effects; the effects are in an array of the owner's. */
struct image_index {
    uint32_t *heads; /* indexes of effects, or EFFECT_NONE */
    uint32_t head_count;
    uint32_t *next; /* of each effect */
    uint32_t next_count;
    bool by_key; /* holds rows as they were before the span; otherwise as they are now */
};

/* Accepts a zeroed index. */
void image_index_release(struct image_index *index);

/* Empties it and makes room for so many rows. */
MUST_CHECK bool image_index_reset(struct image_index *index, size_t rows, bool by_key, struct error *err);

/* base: supplies the values that are unchanged in values. */
uint32_t image_index_hash(const struct target_table *table, const struct value *values,
                          const struct value *base);

/* The effect's hash must be that of its row's values. */
void image_index_add(struct image_index *index, const struct effect *effects, uint32_t effect);

/* An effect with an identical row, or EFFECT_NONE. take: removes it from the index. */
uint32_t image_index_find(struct image_index *index, const struct effect *effects, const struct effect *like,
                          bool take);
