/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_key.h - values of a key column in the order in which PostgreSQL's default btree operators have them.
 *
 * Only for types whose order needs no collation: int2, int4, int8, oid and uuid. Their values are read in
 * the text and in the binary format.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"
#include "decoder/change.h"

struct chunk_key {
    uint64_t high;
    uint64_t low;
};

/* Can values of this type be ordered here? */
bool chunk_key_has_type(oid_t type_oid);

/* False when the value is null, unchanged or malformed. */
MUST_CHECK bool chunk_key_read(oid_t type_oid, const struct value *value, struct chunk_key *ret_key);

static inline bool chunk_key_is_less(const struct chunk_key *a, const struct chunk_key *b) {
    return a->high != b->high ? a->high < b->high : a->low < b->low;
}
