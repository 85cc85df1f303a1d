/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8.c - checks eight bytes at a time while they are ASCII, as most text is.
 */
#include "cdc/base/utf8.h"

#include <stdint.h>

#define ALL_HIGH_BITS UINT64_C(0x8080808080808080)

static bool is_continuation(unsigned char byte) {
    return (byte & 0xC0) == 0x80;
}

/* The size of the character that begins at `at`, or 0 when none does. `end` is after it. */
static size_t character_size(const unsigned char *at, const unsigned char *end) {
    size_t left = (size_t) (end - at);
    if (at[0] < 0x80)
        return 1;
    if (at[0] < 0xC2 || left < 2 || !is_continuation(at[1]))
        return 0;
    if (at[0] < 0xE0)
        return 2;
    if (left < 3 || !is_continuation(at[2]))
        return 0;
    if (at[0] < 0xF0)
        return (at[0] == 0xE0 && at[1] < 0xA0) || (at[0] == 0xED && at[1] > 0x9F) ? 0 : 3;
    if (at[0] > 0xF4 || left < 4 || !is_continuation(at[3]))
        return 0;
    return (at[0] == 0xF0 && at[1] < 0x90) || (at[0] == 0xF4 && at[1] > 0x8F) ? 0 : 4;
}

/* Names are short: overlapping loads spare them a loop. */
static bool is_short_ascii(const unsigned char *at, size_t size) {
    uint32_t first, last;
    if (size == 0)
        return true;
    if (size < sizeof first)
        return ((at[0] | at[size / 2] | at[size - 1]) & 0x80) == 0;
    memcpy(&first, at, sizeof first);
    memcpy(&last, at + size - sizeof last, sizeof last);
    return ((first | last) & (uint32_t) ALL_HIGH_BITS) == 0;
}

/* A place after the ASCII bytes that begin at `at`, accurate to seven bytes. */
static const unsigned char *skip_ascii(const unsigned char *at, const unsigned char *end) {
    uint64_t eight;
    while (end - at >= (ptrdiff_t) sizeof eight) {
        memcpy(&eight, at, sizeof eight);
        if ((eight & ALL_HIGH_BITS) != 0)
            return at;
        at += sizeof eight;
    }
    return is_short_ascii(at, (size_t) (end - at)) ? end : at;
}

size_t utf8_character_size(struct slice text) {
    const unsigned char *at = (const unsigned char *) text.data;
    return text.size > 0 ? character_size(at, at + text.size) : 0;
}

bool utf8_is_valid(struct slice text) {
    const unsigned char *at = (const unsigned char *) text.data, *end = at + text.size;
    while ((at = skip_ascii(at, end)) < end) {
        for (int i = 0; i < 8 && at < end; i++) {
            size_t size = character_size(at, end);
            if (size == 0)
                return false;
            at += size;
        }
    }
    return true;
}
