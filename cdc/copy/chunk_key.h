/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_key.h - values of a key column in the order in which PostgreSQL's default btree operators have them.
 *
 * Only for types whose order is known here: int2, int4, int8, oid, uuid, date, timestamp, timestamptz, bytea;
 * and text and varchar in UTF-8 where the collation compares bytes. Their values are read in the text and in
 * the binary format.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"
#include "decoder/change.h"

struct chunk_key {
    uint64_t high;
    uint64_t low;
    struct slice bytes; /* of text and bytea, whose numbers are 0 */
    bool is_hex;        /* two digits a byte */
};

/* Can values of this type be ordered here? For text and varchar only if the collation compares bytes. */
bool chunk_key_has_type(oid_t type_oid);

/* False when the value is null, unchanged or malformed. The key points into the value. */
MUST_CHECK bool chunk_key_read(oid_t type_oid, const struct value *value, struct chunk_key *ret_key);

bool chunk_key_bytes_are_less(const struct chunk_key *a, const struct chunk_key *b);

static inline bool chunk_key_is_less(const struct chunk_key *a, const struct chunk_key *b) {
    if (a->high != b->high)
        return a->high < b->high;
    return a->low != b->low ? a->low < b->low : chunk_key_bytes_are_less(a, b);
}
