/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - takes fields of network byte order off a slice.
 *
 * The first short read fails the reader for good; from then on every read yields zeroes. So fields are read
 * straight down, and one question at the end decides: reader_finish.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/slice.h"

struct reader {
    const char *next;
    const char *end;
    bool failed;
};

static inline struct reader reader_over(struct slice bytes) {
    return (struct reader){.next = bytes.data, .end = bytes.data + bytes.size};
}

static inline size_t reader_left(const struct reader *reader) {
    return (size_t) (reader->end - reader->next);
}

/* The next size bytes, or NULL when they are not there, and the reader has failed. */
static inline const char *reader_take(struct reader *reader, size_t size) {
    if (reader->failed || reader_left(reader) < size) {
        reader->failed = true;
        return NULL;
    }
    const char *bytes = reader->next;
    reader->next += size;
    return bytes;
}

/* size bytes inside the slice, or an empty slice when they are not there. */
static inline struct slice reader_bytes(struct reader *reader, size_t size) {
    const char *bytes = reader_take(reader, size);
    return bytes != NULL ? (struct slice){.data = bytes, .size = size}
                         : (struct slice){.data = "", .size = 0};
}

static inline uint8_t reader_u8(struct reader *reader) {
    const char *bytes = reader_take(reader, 1);
    return bytes != NULL ? (uint8_t) *bytes : 0;
}

static inline uint16_t reader_u16(struct reader *reader) {
    uint16_t value = 0;
    const char *bytes = reader_take(reader, sizeof value);
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return be16toh(value);
}

static inline uint32_t reader_u32(struct reader *reader) {
    uint32_t value = 0;
    const char *bytes = reader_take(reader, sizeof value);
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static inline uint64_t reader_u64(struct reader *reader) {
    uint64_t value = 0;
    const char *bytes = reader_take(reader, sizeof value);
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return be64toh(value);
}

/* The bytes up to the next NUL, which is consumed and not part of the slice (but does follow it in memory). */
static inline struct slice reader_string(struct reader *reader) {
    const char *nul = reader->failed ? NULL : memchr(reader->next, '\0', reader_left(reader));
    if (nul == NULL) {
        reader->failed = true;
        return (struct slice){.data = "", .size = 0};
    }
    struct slice text = {.data = reader->next, .size = (size_t) (nul - reader->next)};
    reader->next = nul + 1;
    return text;
}

/* True when nothing failed and every byte was consumed. */
static inline bool reader_finish(const struct reader *reader) {
    return !reader->failed && reader->next == reader->end;
}
