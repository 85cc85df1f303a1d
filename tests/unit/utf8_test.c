/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utf8_test.c - what is a string, at every place in and around the eight bytes that are looked at together.
 */
#include "cdc/base/utf8.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <stdlib.h>

#include "tests/support/random.h"

/* One character with 0 to 17 letters in front and behind, in memory of exactly that size. */
static void expect(const char *character, bool is_valid) {
    for (size_t before = 0; before < 18; before++) {
        for (size_t after = 0; after < 18; after++) {
            size_t size = before + strlen(character) + after;
            char *text = malloc(size + 1);
            memset(text, 'x', size);
            memcpy(text + before, character, strlen(character));
            text = realloc(text, size > 0 ? size : 1);
            cr_assert_eq(utf8_is_valid((struct slice){.data = text, .size = size}), is_valid, "%zu %zu",
                         before, after);
            free(text);
        }
    }
}

Test(utf8, characters_of_every_size_are_valid) {
    static const char *const VALID[] = {"",
                                        "a",
                                        "\x7f",
                                        "\xc2\x80",
                                        "\xdf\xbf",
                                        "\xe0\xa0\x80",
                                        "\xed\x9f\xbf",
                                        "\xee\x80\x80",
                                        "\xef\xbf\xbf",
                                        "\xf0\x90\x80\x80",
                                        "\xf4\x8f\xbf\xbf"};
    for (size_t i = 0; i < sizeof VALID / sizeof *VALID; i++)
        expect(VALID[i], true);
}

Test(utf8, everything_else_is_not) {
    static const char *const INVALID[] = {"\x80",
                                          "\xbf",
                                          "\xc0\x80",
                                          "\xc1\xbf",
                                          "\xc2",
                                          "\xc2g",
                                          "\xe0\x9f\xbf",
                                          "\xe0\xa0",
                                          "\xed\xa0\x80",
                                          "\xed\xbf\xbf",
                                          "\xf0\x8f\xbf\xbf",
                                          "\xf0\x90\x80",
                                          "\xf4\x90\x80\x80",
                                          "\xf5\x80\x80\x80",
                                          "\xff",
                                          "\xfe",
                                          "\xe2\x82g"};
    for (size_t i = 0; i < sizeof INVALID / sizeof *INVALID; i++)
        expect(INVALID[i], false);
}

static size_t encode(uint32_t point, char *at) {
    if (point < 0x80)
        return (size_t) (*at = (char) point, 1);
    size_t count = point < 0x800 ? 2 : point < 0x10000 ? 3 : 4;
    for (size_t i = count - 1; i > 0; i--, point >>= 6)
        at[i] = (char) (0x80 | (point & 0x3f));
    at[0] = (char) ((0xf00 >> count & 0xff) | point);
    return count;
}

Test(utf8, every_code_point_but_surrogates_is_valid) {
    for (uint32_t point = 0; point < 0x120000; point++) {
        char bytes[4];
        struct slice text = {.data = bytes, .size = encode(point, bytes)};
        bool is_surrogate = point >= 0xd800 && point < 0xe000;
        cr_assert_eq(utf8_is_valid(text), !is_surrogate && point < 0x110000, "U+%04X", point);
    }
}
