/* SPDX-License-Identifier: Apache-2.0 */
/*
 * oid_map.h - an object of the source by its OID.
 *
 * Open addressing, linear probing, at most half full; entries are replaced but never removed. It owns its
 * slots, not the objects.
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

/* Puts object, never NULL, in the place of the former one; false when memory is exhausted. */
MUST_CHECK bool oid_map_put(struct oid_map *map, oid_t oid, const void *object);
