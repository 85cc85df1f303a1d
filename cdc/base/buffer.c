/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer.c - doubling growth under a maximum.
 */
#include "cdc/base/buffer.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#define CAPACITY_MIN 256

void buffer_init(struct buffer *buffer, size_t bytes_max) {
    *buffer = (struct buffer){.bytes_max = bytes_max};
}

void buffer_release(struct buffer *buffer) {
    free(buffer->data);
    *buffer = (struct buffer){.bytes_max = buffer->bytes_max};
}

bool buffer_reserve_slow(struct buffer *buffer, size_t size) {
    if (buffer->failed)
        return false;
    if (size > buffer->bytes_max - buffer->size) {
        buffer->failed = true;
        return false;
    }
    size_t capacity = buffer->capacity < CAPACITY_MIN ? CAPACITY_MIN : buffer->capacity * 2;
    if (capacity < buffer->size + size)
        capacity = buffer->size + size;
    if (capacity > buffer->bytes_max)
        capacity = buffer->bytes_max;
    char *data = realloc(buffer->data, capacity);
    if (data == NULL) {
        buffer->failed = true;
        buffer->lacks_memory = true;
        return false;
    }
    buffer->data = data;
    buffer->capacity = capacity;
    return true;
}

void buffer_printf(struct buffer *buffer, const char *format, ...) {
    va_list arguments, again;
    va_start(arguments, format);
    va_copy(again, arguments);
    int length = vsnprintf(NULL, 0, format, arguments);
    va_end(arguments);
    if (length >= 0 && buffer_reserve(buffer, (size_t) length + 1)) {
        vsnprintf(buffer->data + buffer->size, (size_t) length + 1, format, again);
        buffer->size += (size_t) length;
    }
    va_end(again);
}

const char *buffer_text(struct buffer *buffer) {
    if (!buffer_reserve(buffer, 1))
        return NULL;
    buffer->data[buffer->size] = '\0';
    return buffer->data;
}
