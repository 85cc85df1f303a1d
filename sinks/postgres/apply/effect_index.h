/* SPDX-License-Identifier: Apache-2.0 */
/*
 * effect_index.h - the effect on each row, found by table and key.
 *
 * Keys are compared byte by byte, as the source sent them. Two keys that differ in bytes and are equal to
 * the server (1.0 and 1.00) never exist at the same time, and deletes come before inserts, so treating them
 * as two keys is right.
 */
#pragma once

#include <stddef.h>

#include "cdc/base/error.h"
#include "decoder/change.h"
#include "sinks/postgres/catalog/target_table.h"

#define EFFECT_NONE UINT32_MAX /* no effect: the end of a list, a free slot */

/* Values are whole rows of the relation, owned by the span's changes or by the net effect. */
struct effect {
    struct target_table *table;
    const struct value *key;    /* the row is found by these */
    const struct value *values; /* NULL: the row is gone */
    uint32_t hash;              /* of the key */
    uint32_t next;              /* of the same table, in order of first touch */
    uint32_t next_update;       /* of the same update group */
    bool existed;               /* before the span */
    bool was_deleted;           /* in the span */
};

/* Open addressing with linear probing, at most half full. The effects are in an array of the owner's. */
struct effect_index {
    uint32_t *slots;     /* indexes of effects, or EFFECT_NONE */
    uint32_t slot_count; /* a power of two, or 0 */
};

/* Accepts a zeroed index. */
void effect_index_release(struct effect_index *index);

/* Empties it and makes room for so many rows. */
MUST_CHECK bool effect_index_reset(struct effect_index *index, size_t rows, struct error *err);

uint32_t effect_index_hash(const struct target_table *table, const struct value *key);

/* The slot of the row's effect, or the free one where it belongs. */
uint32_t *effect_index_probe(const struct effect_index *index, const struct effect *effects,
                             const struct target_table *table, const struct value *key, uint32_t hash);
