/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map.c - growing.
 */
#include "cdc/base/map.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum { BITS_MIN = 6, BITS_MAX = 31 };

void map_release(struct map *map) {
    free(map->slots);
    *map = (struct map){0};
}

void map_reset(struct map *map) {
    if (map->count > 0)
        memset(map->slots, 0, map_slots(map) * sizeof *map->slots);
    map->count = 0;
}

/* The old entries are all different, so the first free slot is theirs. */
static void move_slot(struct map *grown, const struct map_slot *slot) {
    const size_t mask = map_slots(grown) - 1;
    size_t at = (size_t) (map_probe(grown, slot->number, NULL, NULL) - grown->slots);
    while (grown->slots[at].object != NULL)
        at = (at + 1) & mask;
    grown->slots[at] = *slot;
}

static bool map_grow(struct map *map) {
    struct map grown = {.bits = map->slots == NULL ? BITS_MIN : map->bits + 1, .count = map->count};
    if (grown.bits > BITS_MAX)
        return false;
    grown.slots = calloc((size_t) 1 << grown.bits, sizeof *grown.slots);
    if (grown.slots == NULL)
        return false;
    for (size_t i = 0; i < map_slots(map); i++)
        if (map_at(map, i) != NULL)
            move_slot(&grown, &map->slots[i]);
    free(map->slots);
    *map = grown;
    return true;
}

bool map_put(struct map *map, uint64_t number, map_same_fn *same, const void *key, void *object) {
    assert(object != NULL);
    const bool is_half_full = map->slots == NULL || map->count >= UINT32_C(1) << (map->bits - 1);
    if (is_half_full && !map_grow(map))
        return false;
    struct map_slot *slot = map_probe(map, number, same, key);
    map->count += slot->object == NULL;
    *slot = (struct map_slot){.number = number, .object = object};
    return true;
}
