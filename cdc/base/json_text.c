/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text.c - what JSON allows.
 *
 * Most bytes need no escape, so a string is looked through once for those that do and copied run by run.
 */
#include "cdc/base/json_text.h"

/* ---- what JSON allows ---- */

/* How many bytes the character at the start takes, 0 when it is none: overlong, a surrogate, cut off. */
static size_t utf8_size(const unsigned char *bytes, size_t left) {
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = bytes[0] < 0x80       ? 1
                  : bytes[0] >> 5 == 6  ? 2
                  : bytes[0] >> 4 == 14 ? 3
                  : bytes[0] >> 3 == 30 ? 4
                                        : 0;
    if (size <= 1 || size > left)
        return size > left ? 0 : size;
    uint32_t code = bytes[0] & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (bytes[i] >> 6 != 2)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code < LEAST[size] || code > 0x10ffff || code >> 11 == 0xd800 >> 11 ? 0 : size;
}

bool json_is_utf8(struct slice text) {
    for (size_t at = 0; at < text.size;) {
        size_t size = utf8_size((const unsigned char *) text.data + at, text.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

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
    size_t before = json->size, copied = 0;
    buffer_append_u8(json, '"');
    for (size_t at = 0; at < text.size;) {
        const unsigned char *bytes = (const unsigned char *) text.data + at;
        size_t size = bytes[0] < 0x80 ? 1 : utf8_size(bytes, text.size - at);
        if (size == 0) {
            json->size = before;
            return false;
        }
        if (needs_escape(bytes[0])) {
            buffer_append(json, text.data + copied, at - copied);
            append_escape(json, bytes[0]);
            copied = at + 1;
        }
        at += size;
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
