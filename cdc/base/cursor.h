/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cursor.h - reads fields in network byte order from a slice.
 *
 * The first short read makes the cursor fail for good, and every later read returns zeroes. So code reads all
 * fields without checks and asks once at the end: cursor_finish.
 */
#pragma once

#include <endian.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/slice.h"

struct cursor {
    const char *next;
    const char *end;
    bool failed;
};

static inline struct cursor cursor_over(struct slice bytes) {
    return (struct cursor){.next = bytes.data, .end = bytes.data + bytes.size};
}

static inline size_t cursor_left(const struct cursor *cursor) {
    return (size_t) (cursor->end - cursor->next);
}

/* The next size bytes, or NULL when the slice is too short, and the cursor has failed. */
static inline const char *cursor_take(struct cursor *cursor, size_t size) {
    if (cursor->failed || cursor_left(cursor) < size) {
        cursor->failed = true;
        return NULL;
    }
    const char *bytes = cursor->next;
    cursor->next += size;
    return bytes;
}

/* size bytes inside the slice, or an empty slice when it is too short. */
static inline struct slice cursor_bytes(struct cursor *cursor, size_t size) {
    const char *bytes = cursor_take(cursor, size);
    return bytes != NULL ? (struct slice){.data = bytes, .size = size}
                         : (struct slice){.data = "", .size = 0};
}

static inline uint8_t cursor_u8(struct cursor *cursor) {
    const char *bytes = cursor_take(cursor, 1);
    return bytes != NULL ? (uint8_t) *bytes : 0;
}

static inline uint16_t cursor_u16(struct cursor *cursor) {
    uint16_t value = 0;
    const char *bytes = cursor_take(cursor, sizeof value);
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return be16toh(value);
}

static inline uint32_t cursor_u32(struct cursor *cursor) {
    uint32_t value = 0;
    const char *bytes = cursor_take(cursor, sizeof value);
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return be32toh(value);
}

static inline uint64_t cursor_u64(struct cursor *cursor) {
    uint64_t value = 0;
    const char *bytes = cursor_take(cursor, sizeof value);
    if (bytes != NULL)
        memcpy(&value, bytes, sizeof value);
    return be64toh(value);
}

/*
 * The bytes up to the next NUL, which is consumed. The NUL is not part of the slice but follows it in memory.
 */
static inline struct slice cursor_string(struct cursor *cursor) {
    const char *nul = cursor->failed ? NULL : memchr(cursor->next, '\0', cursor_left(cursor));
    if (nul == NULL) {
        cursor->failed = true;
        return (struct slice){.data = "", .size = 0};
    }
    struct slice text = {.data = cursor->next, .size = (size_t) (nul - cursor->next)};
    cursor->next = nul + 1;
    return text;
}

/* True when nothing failed and every byte was consumed. */
static inline bool cursor_finish(const struct cursor *cursor) {
    return !cursor->failed && cursor->next == cursor->end;
}
