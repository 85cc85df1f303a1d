/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_hash.h - a hash of values' bytes, one after the other.
 */
#pragma once

#include "cdc/base/hash.h"
#include "decoder/change.h"

static inline uint64_t value_hash_add(uint64_t hash, const struct value *value) {
    return hash_bytes(hash, value->size > 0 ? value->data : "", value->size);
}
