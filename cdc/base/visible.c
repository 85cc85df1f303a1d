/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible.c - character by character; a character that is invisible, or displayed elsewhere, is escaped.
 */
#include "cdc/base/visible.h"

#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "cdc/base/utf8.h"

enum { SPELLED_MAX = 8 }; /* the longest escape, with its NUL */

static uint32_t code_point(const char *at, size_t size) {
    const unsigned char *bytes = (const unsigned char *) at;
    if (size == 2)
        return (bytes[0] & 0x1Fu) << 6 | (bytes[1] & 0x3Fu);
    if (size == 3)
        return (bytes[0] & 0x0Fu) << 12 | (bytes[1] & 0x3Fu) << 6 | (bytes[2] & 0x3Fu);
    return size == 1 ? bytes[0] : 0x10000; /* all characters of four bytes are harmless */
}

/*
 * C1 controls, line and paragraph separators, and characters that change the direction of the text after
 * them.
 */
static bool is_trick(uint32_t code) {
    return (code >= 0x80 && code < 0xA0) || code == 0x061C || code == 0x200E || code == 0x200F ||
           (code >= 0x2028 && code <= 0x202E) || (code >= 0x2066 && code <= 0x2069) || code == 0xFEFF;
}

uint32_t visible_trick(struct slice text) {
    const size_t size = utf8_character_size(text);
    const uint32_t code = size > 0 ? code_point(text.data, size) : 0;
    return code == 0x7F || is_trick(code) ? code : 0;
}

/* Writes how the first character is shown, and returns that character's own size. */
static size_t spell(struct slice text, char *spelled) {
    const unsigned char first = (unsigned char) text.data[0];
    const size_t size = utf8_character_size(text);
    const uint32_t code = size > 0 ? code_point(text.data, size) : 0;
    if (first == '\n')
        memcpy(spelled, "\\n", 3);
    else if (size == 0 || code < 0x20 || code == 0x7F)
        snprintf(spelled, SPELLED_MAX, "\\x%02x", first);
    else if (is_trick(code))
        snprintf(spelled, SPELLED_MAX, "\\u%04x", (unsigned) code & 0xFFFF);
    else {
        memcpy(spelled, text.data, size);
        spelled[size] = '\0';
    }
    return size > 0 ? size : 1;
}

static struct slice behind(struct slice text, size_t size) {
    return (struct slice){.data = text.data + size, .size = text.size - size};
}

size_t visible_write(char *to, size_t size, struct slice text) {
    assert(size > 0);
    char spelled[SPELLED_MAX];
    size_t length = 0;
    while (text.size > 0) {
        text = behind(text, spell(text, spelled));
        const size_t more = strlen(spelled);
        if (length + more >= size)
            break;
        memcpy(to + length, spelled, more);
        length += more;
    }
    to[length] = '\0';
    return length;
}

void visible_print(FILE *file, struct slice text) {
    char spelled[SPELLED_MAX];
    while (text.size > 0) {
        text = behind(text, spell(text, spelled));
        fputs(spelled, file);
    }
}

void visible_print_lines(FILE *file, struct slice text) {
    while (text.size > 0) {
        const char *end = memchr(text.data, '\n', text.size);
        const size_t size = end != NULL ? (size_t) (end - text.data) : text.size;
        visible_print(file, (struct slice){.data = text.data, .size = size});
        if (end != NULL)
            fputc('\n', file);
        text = behind(text, size + (end != NULL));
    }
}
