/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible_test.c - nothing that a terminal obeys comes through, and nothing else is touched.
 */
#include "cdc/base/visible.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "cdc/base/utf8.h"
#include "tests/support/random.h"

static const struct {
    const char *text, *shown;
} CASES[] = {
    {"plain \\ \"text\" of \xc3\xa4 \xe2\x82\xac \xf0\x9f\x98\x80", NULL},
    {"", NULL},
    {"\x1b[31mred\x1b]0;title\x07", "\\x1b[31mred\\x1b]0;title\\x07"},
    {"two\nlines\r\t", "two\\nlines\\x0d\\x09"},
    {"\x7f\x01", "\\x7f\\x01"},
    {"\xc2\x9b"
     "2J",
     "\\u009b2J"},
    {"\xe2\x80\xae"
     "gpj",
     "\\u202egpj"},
    {"\xff\xc3", "\\xff\\xc3"},
    {"\xe2\x82", "\\xe2\\x82"},
};

Test(visible, what_a_terminal_obeys_is_spelled_out) {
    for (size_t i = 0; i < sizeof CASES / sizeof CASES[0]; i++) {
        char shown[128];
        const char *expected = CASES[i].shown != NULL ? CASES[i].shown : CASES[i].text;
        cr_assert_eq(visible_write(shown, sizeof shown, slice_of(CASES[i].text)), strlen(expected));
        cr_assert_str_eq(shown, expected);
    }
}

Test(visible, what_does_not_fit_is_cut_between_two_characters) {
    char shown[5];
    visible_write(shown, sizeof shown, slice_of("ab\x1b"));
    cr_assert_str_eq(shown, "ab");
    visible_write(shown, sizeof shown, slice_of("abc\xc3\xa4"));
    cr_assert_str_eq(shown, "abc");
}

Test(visible, line_feeds_of_ours_stay) {
    char *text = NULL;
    size_t size = 0;
    FILE *file = open_memstream(&text, &size);
    visible_print_lines(file, slice_of("a\x1b\nb\n\nc"));
    fclose(file);
    cr_assert_str_eq(text, "a\\x1b\nb\n\nc");
    free(text);
}

Test(visible, any_bytes_become_one_line_of_utf8) {
    struct random random = random_start("visible");
    for (int i = 0; i < 20000; i++) {
        char bytes[12], shown[128];
        for (size_t j = 0; j < sizeof bytes; j++)
            bytes[j] = (char) random_below(&random, 256);
        size_t length =
            visible_write(shown, sizeof shown, (struct slice){.data = bytes, .size = sizeof bytes});
        cr_assert(utf8_is_valid((struct slice){.data = shown, .size = length}));
        for (size_t j = 0; j < length; j++)
            cr_assert((unsigned char) shown[j] >= 0x20 && shown[j] != 0x7f);
        cr_assert_eq(visible_write(bytes, sizeof bytes, slice_of(shown)) < sizeof bytes, true);
    }
}
