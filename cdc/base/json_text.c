/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.c - what JSON allows.
 *
 * Most bytes need no escape, so a string is copied run by run.
 */
#include "cdc/base/json_text.h"

#include "cdc/base/utf8.h"

/* ---- what JSON allows ---- */

static const char *skip_digits(const char *next, const char *end) {
    while (next < end && *next >= '0' && *next <= '9')
        next++;
    return next;
}

/* number = [-] digits [. digits] [e [+-] digits], no leading zeroes. */
bool json_is_number(struct slice text) {
    const char *next = text.data, *end = text.data + text.size;
    if (next < end && *next == '-')
        next++;
    const char *digits = next;
    next = skip_digits(next, end);
    if (next == digits || (*digits == '0' && next - digits > 1))
        return false;
    if (next < end && *next == '.') {
        digits = ++next;
        next = skip_digits(next, end);
        if (next == digits)
            return false;
    }
    if (next < end && (*next == 'e' || *next == 'E')) {
        next++;
        if (next < end && (*next == '+' || *next == '-'))
            next++;
        digits = next;
        next = skip_digits(next, end);
        if (next == digits)
            return false;
    }
    return next == end;
}

/* ---- strings ---- */

static bool needs_escape(unsigned char byte) {
    return byte < 0x20 || byte == '"' || byte == '\\';
}

static void append_escape(struct buffer *json, unsigned char byte) {
    static const char DIGITS[] = "0123456789ABCDEF";
    static const char LETTERS[0x20] = {['\b'] = 'b', ['\t'] = 't', ['\n'] = 'n', ['\f'] = 'f', ['\r'] = 'r'};
    if (byte >= 0x20)
        buffer_append(json, (const char[]){'\\', (char) byte}, 2);
    else if (LETTERS[byte] != '\0')
        buffer_append(json, (const char[]){'\\', LETTERS[byte]}, 2);
    else
        buffer_append(json, (const char[]){'\\', 'u', '0', '0', DIGITS[byte >> 4], DIGITS[byte & 15]}, 6);
}

bool json_append_string(struct buffer *json, struct slice text) {
    size_t copied = 0;
    if (!utf8_is_valid(text))
        return false;
    buffer_append_u8(json, '"');
    for (size_t at = 0; at < text.size; at++) {
        if (!needs_escape((unsigned char) text.data[at]))
            continue;
        buffer_append(json, text.data + copied, at - copied);
        append_escape(json, (unsigned char) text.data[at]);
        copied = at + 1;
    }
    if (copied < text.size)
        buffer_append(json, text.data + copied, text.size - copied);
    buffer_append_u8(json, '"');
    return true;
}

void json_append_integer(struct buffer *json, int64_t number) {
    char digits[20];
    size_t at = sizeof digits;
    uint64_t left = number < 0 ? -(uint64_t) number : (uint64_t) number;
    do {
        digits[--at] = (char) ('0' + left % 10);
        left /= 10;
    } while (left > 0);
    if (number < 0)
        digits[--at] = '-';
    buffer_append(json, digits + at, sizeof digits - at);
}
