/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oid_map.h - a map from OIDs of the source to objects.
 *
 * Open addressing with linear probing, at most half full. Entries are replaced but never removed. The map
 * owns its slots, not the objects.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/lsn.h"

struct oid_map_slot {
    oid_t oid;
    const void *object; /* NULL: the slot is free */
};

struct oid_map {
    struct oid_map_slot *slots; /* 1 << bits of them; NULL while the map is empty */
    uint32_t bits;
    uint32_t count;
};

/* A zeroed map is empty; release accepts one. */
void oid_map_release(struct oid_map *map);

/* NULL when there is none. */
const void *oid_map_find(const struct oid_map *map, oid_t oid);

/* Stores object, never NULL, in place of the previous one; false when memory is exhausted. */
MUST_CHECK bool oid_map_put(struct oid_map *map, oid_t oid, const void *object);
