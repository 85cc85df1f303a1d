/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.h - objects found by a key.
 *
 * Open addressing with linear probing, at most half full. Entries are put and replaced; none is removed but
 * by map_reset, which removes all. The map owns its slots and neither objects nor keys. A zeroed map is
 * empty.
 *
 * A key is a 64-bit number: the key itself, such as an OID, or a hash of it (hash.h). In the second case
 * same tells keys with equal hashes apart; it is called only for these. Numbers may be close together.
 *
 * Where a row of the hot path is found by its values, sinks/postgres/apply has tables of its own: their slots
 * are four bytes instead of sixteen, and the effects that they point to move (effect_index.h, image_index.h).
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"

struct map_slot {
    uint64_t number;
    void *object; /* NULL: the slot is free */
};

struct map {
    struct map_slot *slots; /* 1 << bits of them; NULL until the first put */
    uint32_t bits;
    uint32_t count;
};

/* Is this the object of the key? NULL in its place: the number is the whole key. */
typedef bool map_same_fn(const void *object, const void *key);

/* Accepts a zeroed map, and zeroes it. */
void map_release(struct map *map);

/* Removes all entries and keeps the memory. */
void map_reset(struct map *map);

/* The high bits of a product with an odd constant spread numbers that are close together. */
static inline struct map_slot *map_probe(const struct map *map, uint64_t number, map_same_fn *same,
                                         const void *key) {
    const size_t mask = ((size_t) 1 << map->bits) - 1;
    size_t at = (size_t) ((number * UINT64_C(0x9e3779b97f4a7c15)) >> (64 - map->bits));
    while (map->slots[at].object != NULL &&
           (map->slots[at].number != number || (same != NULL && !same(map->slots[at].object, key))))
        at = (at + 1) & mask;
    return &map->slots[at];
}

/* NULL when there is none. */
static inline void *map_find(const struct map *map, uint64_t number, map_same_fn *same, const void *key) {
    return map->slots == NULL ? NULL : map_probe(map, number, same, key)->object;
}

/* Stores object, never NULL, in place of the key's previous one; false when memory is exhausted. */
MUST_CHECK bool map_put(struct map *map, uint64_t number, map_same_fn *same, const void *key, void *object);

/* The same where the number is the whole key. */
static inline void *map_find_number(const struct map *map, uint64_t number) {
    return map_find(map, number, NULL, NULL);
}

MUST_CHECK static inline bool map_put_number(struct map *map, uint64_t number, void *object) {
    return map_put(map, number, NULL, NULL, object);
}

/* The objects, in no order: those of all i below map_slots that are not NULL. */
static inline size_t map_slots(const struct map *map) {
    return map->slots == NULL ? 0 : (size_t) 1 << map->bits;
}

static inline void *map_at(const struct map *map, size_t i) {
    return map->slots[i].object;
}
