/* SPDX-License-Identifier: Apache-2.0 */
/*
 * value_hash.h - a hash of values' bytes, one after the other.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "decoder/change.h"

static inline uint64_t value_hash_mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

static inline uint64_t value_hash_bytes(uint64_t hash, const char *data, size_t size) {
    uint64_t word;
    hash = value_hash_mix(hash, size);
    for (; size >= sizeof word; data += sizeof word, size -= sizeof word) {
        memcpy(&word, data, sizeof word);
        hash = value_hash_mix(hash, word);
    }
    word = 0;
    memcpy(&word, data, size);
    return value_hash_mix(hash, word);
}

static inline uint64_t value_hash_add(uint64_t hash, const struct value *value) {
    return value_hash_bytes(hash, value->size > 0 ? value->data : "", value->size);
}

static inline uint32_t value_hash_end(uint64_t hash) {
    return (uint32_t) (hash ^ hash >> 32);
}
