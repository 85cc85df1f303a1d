/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64.c - bytes as base64, and hexadecimal digits as bytes.
 */
#include "sinks/formats/debezium/base64.h"

static const char ALPHABETS[][65] = {
    [BASE64_STANDARD] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/",
    [BASE64_URL_SAFE] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_",
};

/* 1 to 3 bytes as 4 characters. */
static void encode_group(const char *alphabet, const unsigned char *bytes, size_t count, char *text) {
    uint32_t group = (uint32_t) bytes[0] << 16 | (count > 1 ? (uint32_t) bytes[1] << 8 : 0) |
                     (count > 2 ? (uint32_t) bytes[2] : 0);
    text[0] = alphabet[group >> 18];
    text[1] = alphabet[group >> 12 & 63];
    text[2] = count > 1 ? alphabet[group >> 6 & 63] : '=';
    text[3] = count > 2 ? alphabet[group & 63] : '=';
}

void base64_append(struct buffer *text, enum base64_alphabet alphabet, struct slice bytes) {
    size_t size = (bytes.size + 2) / 3 * 4;
    if (!buffer_reserve(text, size))
        return;
    char *out = text->data + text->size;
    for (size_t at = 0; at < bytes.size; at += 3, out += 4)
        encode_group(ALPHABETS[alphabet], (const unsigned char *) bytes.data + at,
                     bytes.size - at < 3 ? bytes.size - at : 3, out);
    text->size += size;
}

static int hex_digit(char letter) {
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    if (letter >= 'a' && letter <= 'f')
        return letter - 'a' + 10;
    return letter >= 'A' && letter <= 'F' ? letter - 'A' + 10 : -1;
}

bool hex_append_bytes(struct buffer *bytes, struct slice digits) {
    if (digits.size % 2 != 0)
        return false;
    if (!buffer_reserve(bytes, digits.size / 2))
        return true;
    for (size_t at = 0; at < digits.size; at += 2) {
        int high = hex_digit(digits.data[at]), low = hex_digit(digits.data[at + 1]);
        if (high < 0 || low < 0)
            return false;
        bytes->data[bytes->size++] = (char) (high << 4 | low);
    }
    return true;
}
