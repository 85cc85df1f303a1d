/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire.h - writes protobuf's wire format into a place with enough room.
 *
 * Every wire_put_… writes at `at` and returns the place after it. WIRE_VARINT_MAX is the longest number; the
 * caller has made room. Tags of fields up to 15 are one byte.
 */
#pragma once

#include <endian.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cdc/base/slice.h"

enum { WIRE_VARINT_MAX = 10 };

enum wire_type { WIRE_VARINT = 0, WIRE_FIXED64 = 1, WIRE_BYTES = 2, WIRE_FIXED32 = 5 };

static inline size_t wire_varint_size(uint64_t value) {
    return (63u - (unsigned) __builtin_clzll(value | 1)) / 7 + 1;
}

static inline uint64_t wire_zigzag(int64_t value) {
    return ((uint64_t) value << 1) ^ (uint64_t) (value >> 63);
}

static inline char *wire_put_varint(char *at, uint64_t value) {
    while (value >= 0x80) {
        *at++ = (char) (value | 0x80);
        value >>= 7;
    }
    *at++ = (char) value;
    return at;
}

static inline char *wire_put_tag(char *at, unsigned field, enum wire_type type) {
    *at++ = (char) (field << 3 | type);
    return at;
}

static inline char *wire_put_number(char *at, unsigned field, uint64_t value) {
    return wire_put_varint(wire_put_tag(at, field, WIRE_VARINT), value);
}

/* The head of size bytes that the caller writes after it. */
static inline char *wire_put_head(char *at, unsigned field, size_t size) {
    return wire_put_varint(wire_put_tag(at, field, WIRE_BYTES), size);
}

static inline char *wire_put_bytes(char *at, unsigned field, struct slice bytes) {
    at = wire_put_head(at, field, bytes.size);
    if (bytes.size > 0)
        memcpy(at, bytes.data, bytes.size);
    return at + bytes.size;
}

static inline char *wire_put_fixed32(char *at, unsigned field, uint32_t value) {
    at = wire_put_tag(at, field, WIRE_FIXED32);
    value = htole32(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

static inline char *wire_put_fixed64(char *at, unsigned field, uint64_t value) {
    at = wire_put_tag(at, field, WIRE_FIXED64);
    value = htole64(value);
    memcpy(at, &value, sizeof value);
    return at + sizeof value;
}

/* Size of a field that is absent when it is empty or zero. */
static inline size_t wire_number_size(uint64_t value) {
    return value != 0 ? 1 + wire_varint_size(value) : 0;
}

static inline size_t wire_bytes_size(size_t size) {
    return size != 0 ? 1 + wire_varint_size(size) + size : 0;
}

static inline char *wire_put_number_if(char *at, unsigned field, uint64_t value) {
    return value != 0 ? wire_put_number(at, field, value) : at;
}

static inline char *wire_put_bytes_if(char *at, unsigned field, struct slice bytes) {
    return bytes.size != 0 ? wire_put_bytes(at, field, bytes) : at;
}
