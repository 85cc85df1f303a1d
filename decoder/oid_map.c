/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oid_map.c - hashing and probing.
 */
#include "decoder/oid_map.h"

#include <assert.h>
#include <stdlib.h>

#define BITS_MIN 6u
#define BITS_MAX 31u

void oid_map_release(struct oid_map *map) {
    free(map->slots);
    *map = (struct oid_map){0};
}

/* OIDs of one database are close together; the high bits of a product with an odd constant spread them. */
static uint32_t slot_of(uint32_t bits, oid_t oid) {
    return (oid * UINT32_C(2654435769)) >> (32 - bits);
}

/* The slot with oid, or the free slot where it belongs. */
static struct oid_map_slot *probe(const struct oid_map *map, oid_t oid) {
    uint32_t mask = (UINT32_C(1) << map->bits) - 1;
    uint32_t at = slot_of(map->bits, oid);
    while (map->slots[at].object != NULL && map->slots[at].oid != oid)
        at = (at + 1) & mask;
    return &map->slots[at];
}

const void *oid_map_find(const struct oid_map *map, oid_t oid) {
    return map->slots == NULL ? NULL : probe(map, oid)->object;
}

static bool oid_map_grow(struct oid_map *map) {
    uint32_t bits = map->slots == NULL ? BITS_MIN : map->bits + 1;
    if (bits > BITS_MAX)
        return false;
    struct oid_map grown = {.bits = bits, .count = map->count};
    grown.slots = calloc((size_t) 1 << bits, sizeof *grown.slots);
    if (grown.slots == NULL)
        return false;
    size_t slot_count = map->slots == NULL ? 0 : (size_t) 1 << map->bits;
    for (size_t i = 0; i < slot_count; i++)
        if (map->slots[i].object != NULL)
            *probe(&grown, map->slots[i].oid) = map->slots[i];
    free(map->slots);
    *map = grown;
    return true;
}

bool oid_map_put(struct oid_map *map, oid_t oid, const void *object) {
    assert(object != NULL);
    bool is_half_full = map->slots == NULL || map->count >= UINT32_C(1) << (map->bits - 1);
    if (is_half_full && !oid_map_grow(map))
        return false;
    struct oid_map_slot *slot = probe(map, oid);
    map->count += slot->object == NULL;
    *slot = (struct oid_map_slot){.oid = oid, .object = object};
    return true;
}
