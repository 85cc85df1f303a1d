/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wire_read.h - reads protobuf's wire format: the fields of a message one after the other.
 *
 * Bytes that are not a message end the walk, and the caller asks for that once: wire_end. Unknown fields are
 * skipped by not looking at them. Groups are not read.
 */
#pragma once

#include <stdbool.h>

#include "proto/wire.h"

struct wire_reader {
    const char *at; /* NULL: the bytes are not a message */
    const char *end;
};

struct wire_field {
    unsigned number;
    uint64_t value;     /* of a varint or a fixed number */
    struct slice bytes; /* of bytes and messages; else empty, not NULL */
};

static inline struct wire_reader wire_over(struct slice bytes) {
    const char *data = bytes.data != NULL ? bytes.data : "";
    return (struct wire_reader){.at = data, .end = data + bytes.size};
}

static inline bool wire_take_varint(struct wire_reader *reader, uint64_t *ret_value) {
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64 && reader->at < reader->end; shift += 7) {
        const uint8_t byte = (uint8_t) *reader->at++;
        value |= (uint64_t) (byte & 0x7f) << shift;
        if (byte < 0x80) {
            *ret_value = value;
            return true;
        }
    }
    return false;
}

static inline bool wire_take_fixed(struct wire_reader *reader, size_t size, uint64_t *ret_value) {
    uint64_t value = 0;
    if ((size_t) (reader->end - reader->at) < size)
        return false;
    memcpy(&value, reader->at, size);
    reader->at += size;
    *ret_value = le64toh(value);
    return true;
}

static inline bool wire_take_bytes(struct wire_reader *reader, struct slice *ret_bytes) {
    uint64_t size;
    if (!wire_take_varint(reader, &size) || size > (uint64_t) (reader->end - reader->at))
        return false;
    *ret_bytes = (struct slice){.data = reader->at, .size = (size_t) size};
    reader->at += size;
    return true;
}

static inline bool wire_take_value(struct wire_reader *reader, unsigned type, struct wire_field *ret_field) {
    switch (type) {
    case WIRE_VARINT:
        return wire_take_varint(reader, &ret_field->value);
    case WIRE_BYTES:
        return wire_take_bytes(reader, &ret_field->bytes);
    case WIRE_FIXED64:
        return wire_take_fixed(reader, sizeof(uint64_t), &ret_field->value);
    case WIRE_FIXED32:
        return wire_take_fixed(reader, sizeof(uint32_t), &ret_field->value);
    default:
        return false;
    }
}

/* False at the end, or where the bytes are not a message. */
static inline bool wire_next(struct wire_reader *reader, struct wire_field *ret_field) {
    uint64_t tag;
    if (reader->at == NULL || reader->at == reader->end)
        return false;
    *ret_field = (struct wire_field){.bytes = {.data = "", .size = 0}};
    if (wire_take_varint(reader, &tag) && tag >> 3 != 0 && tag >> 3 <= UINT32_MAX &&
        wire_take_value(reader, (unsigned) (tag & 7), ret_field)) {
        ret_field->number = (unsigned) (tag >> 3);
        return true;
    }
    reader->at = NULL;
    return false;
}

/* Was everything read? */
static inline bool wire_end(const struct wire_reader *reader) {
    return reader->at != NULL && reader->at == reader->end;
}
