/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping_characters_test.c - white space and letters, against every code point.
 */
#include "sinks/mapping/characters.h"

#include <criterion/criterion.h>
#include <utf8proc.h>

static struct arena arena;
static struct error err;

static void open_arena(void) {
    arena_init(&arena, 4096, 1 << 20);
}

static void close_arena(void) {
    arena_release(&arena);
}

TestSuite(mapping_characters, .init = open_arena, .fini = close_arena);

enum { POINTS = 0x110000 };

static bool is_surrogate(utf8proc_int32_t point) {
    return point >= 0xD800 && point < 0xE000;
}

static struct slice encoded(utf8proc_int32_t point, char bytes[4]) {
    return (struct slice){bytes, (size_t) utf8proc_encode_char(point, (utf8proc_uint8_t *) bytes)};
}

/* White_Space is the separators and seven control characters. */
static bool expect_white(utf8proc_int32_t point) {
    utf8proc_category_t category = utf8proc_category(point);
    return category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL ||
           category == UTF8PROC_CATEGORY_ZP || (point >= '\t' && point <= '\r') || point == 0x85;
}

Test(mapping_characters, white_space_is_what_unicode_says) {
    char bytes[4];
    for (utf8proc_int32_t point = 0; point < POINTS; point++)
        if (!is_surrogate(point))
            cr_assert_eq(characters_trim(encoded(point, bytes)).size == 0, expect_white(point), "U+%04X",
                         (unsigned) point);
}

/* Written into memory of the size that was foreseen: a letter that grows by more fails an assertion. */
Test(mapping_characters, every_letter_is_mapped_and_fits) {
    char bytes[4];
    struct slice lower, upper;
    for (utf8proc_int32_t point = 0; point < POINTS; point++) {
        if (is_surrogate(point))
            continue;
        cr_assert(characters_lower(encoded(point, bytes), &arena, &lower, &err));
        cr_assert(characters_upper(encoded(point, bytes), &arena, &upper, &err));
        cr_assert_eq(characters_count(lower), 1, "U+%04X", (unsigned) point);
        cr_assert_eq(characters_count(upper), 1, "U+%04X", (unsigned) point);
        arena_reset(&arena);
    }
}

static void expect_case(const char *given, const char *lower, const char *upper) {
    struct slice got;
    cr_assert(characters_lower(slice_of(given), &arena, &got, &err));
    cr_expect(slice_equal(got, slice_of(lower)), "%.*s", (int) got.size, got.data);
    cr_assert(characters_upper(slice_of(given), &arena, &got, &err));
    cr_expect(slice_equal(got, slice_of(upper)), "%.*s", (int) got.size, got.data);
}

Test(mapping_characters, letters_of_all_scripts_change) {
    expect_case("", "", "");
    expect_case("@AZ[`az{", "@az[`az{", "@AZ[`AZ{");
    expect_case("Größe", "größe", "GRÖßE");
    expect_case("ΑΣ ας", "ασ ας", "ΑΣ ΑΣ");
    expect_case("Привет", "привет", "ПРИВЕТ");
    expect_case("\u0130\u0131", "i\u0131", "\u0130I");
    expect_case("\u212A", "k", "\u212A");                        /* the Kelvin sign: three bytes become one */
    expect_case("\u023A\u0250", "\u2C65\u0250", "\u023A\u2C6F"); /* two become three */
    expect_case("\U00010400\U00010428", "\U00010428\U00010428", "\U00010400\U00010400");
    expect_case("漢字 😀", "漢字 😀", "漢字 😀");
}

Test(mapping_characters, a_text_that_need_not_change_is_not_copied) {
    struct slice got, text = slice_of("größe 1");
    cr_assert(characters_lower(text, &arena, &got, &err));
    cr_expect_eq(got.data, text.data);
    cr_assert(characters_squeeze(text, &arena, &got, &err));
    cr_expect_eq(got.data, text.data);
    cr_expect_eq(characters_trim(text).data, text.data);
    cr_expect_eq(arena.used_bytes, 0);
}

Test(mapping_characters, a_full_arena_is_an_error) {
    struct slice got;
    while (arena_alloc(&arena, 1) != NULL)
        continue;
    cr_expect_not(characters_lower(slice_of("A"), &arena, &got, &err));
    cr_expect_eq(err.kind, ERROR_SYSTEM);
    cr_expect_not(characters_squeeze(slice_of("  "), &arena, &got, &err));
}

Test(mapping_characters, counts_are_of_code_points) {
    struct slice text = slice_of("a\u00e4\u20ac\U0001F600z");
    cr_expect_eq(characters_count(text), 5);
    cr_expect_eq(characters_first(text, 0).size, 0);
    cr_expect_eq(characters_first(text, 2).size, 3);
    cr_expect_eq(characters_first(text, 4).size, 10);
    cr_expect_eq(characters_first(text, 9).size, text.size);
    cr_expect(slice_equal(characters_after(text, 4), slice_of("z")));
    cr_expect_eq(characters_after(text, 9).size, 0);
}
