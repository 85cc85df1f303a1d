/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hash.h - a hash of bytes, for use in one process: it depends on the machine's byte order, and may change.
 *
 * Against chance, not against an attacker who chooses the bytes.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint64_t hash_mix(uint64_t hash, uint64_t word) {
    hash = (hash ^ word) * UINT64_C(0x9e3779b97f4a7c15);
    return hash ^ hash >> 29;
}

/* Adds the size too, so that the place where one text ends and the next begins counts. */
static inline uint64_t hash_bytes(uint64_t hash, const char *data, size_t size) {
    uint64_t word;
    hash = hash_mix(hash, size);
    for (; size >= sizeof word; data += sizeof word, size -= sizeof word) {
        memcpy(&word, data, sizeof word);
        hash = hash_mix(hash, word);
    }
    word = 0;
    memcpy(&word, data, size);
    return hash_mix(hash, word);
}

/* All its bits in 32. */
static inline uint32_t hash_end(uint64_t hash) {
    return (uint32_t) (hash ^ hash >> 32);
}
