/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.h - bytes that grow, up to a maximum.
 *
 * An append that does not fit makes the buffer fail for good, and later appends do nothing. So code appends
 * without checks and asks once at the end: buffer_ok. Not thread safe.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include <endian.h>

#include "cdc/base/attributes.h"
#include "cdc/base/slice.h"

struct buffer {
    char *data;
    size_t size;
    size_t capacity;
    size_t bytes_max;
    bool failed;
    bool lacks_memory; /* the memory was missing; otherwise the buffer failed because of bytes_max */
};

void buffer_init(struct buffer *buffer, size_t bytes_max);
void buffer_release(struct buffer *buffer);

static inline void buffer_reset(struct buffer *buffer) {
    buffer->size = 0;
    buffer->failed = false;
    buffer->lacks_memory = false;
}

static inline bool buffer_ok(const struct buffer *buffer) {
    return !buffer->failed;
}

static inline struct slice buffer_slice(const struct buffer *buffer) {
    return (struct slice){.data = buffer->data, .size = buffer->size};
}

/* Makes room for size more bytes; false when that is impossible, and the buffer has failed. */
MUST_CHECK bool buffer_reserve_slow(struct buffer *buffer, size_t size);

MUST_CHECK static inline bool buffer_reserve(struct buffer *buffer, size_t size) {
    return (!buffer->failed && buffer->capacity - buffer->size >= size) || buffer_reserve_slow(buffer, size);
}

static inline void buffer_append(struct buffer *buffer, const void *bytes, size_t size) {
    if (size == 0 || !buffer_reserve(buffer, size))
        return;
    memcpy(buffer->data + buffer->size, bytes, size);
    buffer->size += size;
}

static inline void buffer_append_slice(struct buffer *buffer, struct slice bytes) {
    buffer_append(buffer, bytes.data, bytes.size);
}

static inline void buffer_append_text(struct buffer *buffer, const char *text) {
    buffer_append(buffer, text, strlen(text));
}

static inline void buffer_append_u8(struct buffer *buffer, uint8_t value) {
    buffer_append(buffer, &value, sizeof value);
}

/* Network byte order. */
static inline void buffer_append_u16(struct buffer *buffer, uint16_t value) {
    value = htobe16(value);
    buffer_append(buffer, &value, sizeof value);
}

static inline void buffer_append_u32(struct buffer *buffer, uint32_t value) {
    value = htobe32(value);
    buffer_append(buffer, &value, sizeof value);
}

void buffer_printf(struct buffer *buffer, const char *format, ...) PRINTF_LIKE(2, 3);

/* Puts a NUL after the bytes, not included in size. Returns the text, or NULL when the buffer has failed. */
const char *buffer_text(struct buffer *buffer);
