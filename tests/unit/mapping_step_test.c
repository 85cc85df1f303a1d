/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping_step_test.c - what each step makes of null, of the empty text, and of texts of every width.
 */
#include "sinks/mapping/step.h"

#include <criterion/criterion.h>

#include "sinks/mapping/mask_key.h"

static struct arena arena;
static struct error err;
static struct mask_key key;

static void open_arena(void) {
    arena_init(&arena, 4096, 1 << 20);
    cr_assert(mask_key_init(&key, slice_of("0123456789abcdef"), &err), "%s", err.text);
}

static void close_arena(void) {
    mask_key_release(&key);
    arena_release(&arena);
}

TestSuite(mapping_step, .init = open_arena, .fini = close_arena);

/* NULL: null. */
static struct slice value_of(const char *text) {
    return text == NULL ? (struct slice){0} : slice_of(text);
}

static void expect_chain(const struct step *steps, size_t count, const char *given, const char *expected) {
    struct slice got;
    cr_assert(steps_run(steps, count, value_of(given), &arena, &got, &err), "%s", err.text);
    cr_expect_eq(got.data == NULL, expected == NULL, "%s: null or not", given);
    cr_expect(expected == NULL || slice_equal(got, slice_of(expected)), "%s: got '%.*s', expected '%s'",
              given, (int) got.size, got.data, expected);
}

static void expect(struct step step, const char *given, const char *expected) {
    expect_chain(&step, 1, given, expected);
}

Test(mapping_step, null_stays_null_but_for_default) {
    for (enum step_kind kind = STEP_TRIM; kind <= STEP_FIXED; kind++)
        expect((struct step){.kind = kind, .text = "x", .number = 1, .key = &key}, NULL,
               kind == STEP_DEFAULT ? "x" : NULL);
}

Test(mapping_step, trim_removes_white_space_at_both_ends) {
    const struct step trim = {.kind = STEP_TRIM};
    expect(trim, "", "");
    expect(trim, " \t\r\n\v\f ", "");
    expect(trim, " a b ", "a b");
    expect(trim, "\u00a0\u3000\u2028\xc2\x85 ä\u2003ö \u1680\u205f", "ä\u2003ö");
    expect(trim, "\u200b€😀\ufeff", "\u200b€😀\ufeff"); /* of no width, and no white space */
}

Test(mapping_step, squeeze_leaves_one_blank) {
    const struct step squeeze = {.kind = STEP_SQUEEZE};
    expect(squeeze, "", "");
    expect(squeeze, "a b", "a b");
    expect(squeeze, "a\tb", "a b");
    expect(squeeze, "  a \t\n b\u00a0\u3000c  ", " a b c ");
    expect(squeeze, "ä€😀\u2003\u2003ß", "ä€😀 ß");
    expect(squeeze, "\u3000", " ");
}

Test(mapping_step, lower_and_upper_change_letters) {
    expect((struct step){.kind = STEP_LOWER}, "", "");
    expect((struct step){.kind = STEP_LOWER}, "O'NEIL@Example.com ÄÖ Ж", "o'neil@example.com äö ж");
    expect((struct step){.kind = STEP_UPPER}, "", "");
    expect((struct step){.kind = STEP_UPPER}, "de89 äö ж 😀", "DE89 ÄÖ Ж 😀");
}

Test(mapping_step, nullif_makes_one_text_null) {
    expect((struct step){.kind = STEP_NULLIF, .text = ""}, "", NULL);
    expect((struct step){.kind = STEP_NULLIF, .text = ""}, " ", " ");
    expect((struct step){.kind = STEP_NULLIF, .text = "n/ä"}, "n/ä", NULL);
    expect((struct step){.kind = STEP_NULLIF, .text = "n/ä"}, "n/äx", "n/äx");
}

Test(mapping_step, default_leaves_texts_alone) {
    expect((struct step){.kind = STEP_DEFAULT, .text = "x"}, "", "");
    expect((struct step){.kind = STEP_DEFAULT, .text = "x"}, "€", "€");
    expect((struct step){.kind = STEP_DEFAULT, .text = ""}, NULL, "");
}

Test(mapping_step, truncate_keeps_whole_characters) {
    const struct step two = {.kind = STEP_TRUNCATE, .number = 2};
    expect(two, "", "");
    expect(two, "a", "a");
    expect(two, "abc", "ab");
    expect(two, "ä€😀", "ä€");
    expect(two, "😀😀", "😀😀");
    expect((struct step){.kind = STEP_TRUNCATE}, "abc", "abc");
}

Test(mapping_step, partial_shows_the_ends) {
    const struct step ends = {.kind = STEP_PARTIAL, .text = "*", .first = 1, .last = 2};
    expect(ends, "abcdef", "a***ef");
    expect(ends, "abcd", "a*cd");
    expect(ends, "ä€😀ßй", "ä**ßй");
    expect((struct step){.kind = STEP_PARTIAL, .text = "•", .last = 2}, "+49 30", "••••30");
    expect((struct step){.kind = STEP_PARTIAL, .text = "•", .first = 2}, "+49 30", "+4••••");
    expect((struct step){.kind = STEP_PARTIAL, .text = "*"}, "abc", "***");
    expect((struct step){.kind = STEP_PARTIAL, .text = "", .last = 1}, "abc", "c");
}

Test(mapping_step, partial_hides_all_of_a_text_with_no_more_than_the_ends) {
    const struct step ends = {.kind = STEP_PARTIAL, .text = "*", .first = 1, .last = 2};
    expect(ends, "abc", "***");
    expect(ends, "ä", "*");
    expect(ends, "", "");
    expect((struct step){.kind = STEP_PARTIAL, .text = "*", .first = UINT32_MAX, .last = UINT32_MAX}, "ab",
           "**");
}

Test(mapping_step, null_and_fixed_forget_the_value) {
    expect((struct step){.kind = STEP_NULL}, "abc", NULL);
    expect((struct step){.kind = STEP_NULL}, "", NULL);
    expect((struct step){.kind = STEP_FIXED, .text = "hidden"}, "abc", "hidden");
    expect((struct step){.kind = STEP_FIXED, .text = ""}, "abc", "");
}

/* What pgcrypto's hmac() says of the same. */
Test(mapping_step, hash_is_hexadecimal) {
    const struct step all = {.kind = STEP_HASH, .key = &key},
                      eight = {.kind = STEP_HASH, .key = &key, .number = 8};
    expect(all, "", "496dc93fa2d26eae500ec0bc37a122706b88f8963cebf0899d0245fae313e241");
    expect(all, "ann@example.com", "9f70eb4f1d9f0194d58bc08c41ce2b3b2e4e580a424a246ce2484484122343df");
    expect(eight, "ä€😀", "fac5b221");
    expect((struct step){.kind = STEP_HASH, .key = &key, .number = 99}, "",
           "496dc93fa2d26eae500ec0bc37a122706b88f8963cebf0899d0245fae313e241");
}

Test(mapping_step, digits_keeps_the_shape) {
    struct slice got;
    const struct step digits = {.kind = STEP_DIGITS, .key = &key};
    cr_assert(steps_run(&digits, 1, slice_of("DE89 3704 0044 – 0532"), &arena, &got, &err), "%s", err.text);
    cr_expect_eq(got.size, strlen("DE89 3704 0044 – 0532"));
    cr_expect_eq(memcmp(got.data, "DE", 2), 0);
    cr_expect_eq(memcmp(got.data + 14, " – ", 5), 0);
    cr_expect_neq(memcmp(got.data, "DE89 3704 0044", 14), 0);
}

Test(mapping_step, what_digits_cannot_encrypt_is_refused_and_not_shown) {
    static const char *const TEXTS[] = {"", "n/a", "12 345",
                                        "123456789012345678901234567890123456789012345678901234567"};
    const struct step digits = {.kind = STEP_DIGITS, .key = &key};
    for (size_t i = 0; i < sizeof TEXTS / sizeof *TEXTS; i++) {
        struct slice got;
        cr_assert_not(steps_run(&digits, 1, slice_of(TEXTS[i]), &arena, &got, &err));
        cr_expect_eq(err.kind, ERROR_DATA);
        cr_expect_not_null(strstr(err.text, i < 3 ? "step digits: the text has fewer" : "more"), "%s",
                           err.text);
        cr_expect_null(strstr(error_line(&err).text, "345"), "%s", err.text);
        cr_expect_str_neq(err.remedy, "");
    }
}

Test(mapping_step, steps_run_in_their_order) {
    const struct step normal[] = {{.kind = STEP_TRIM},
                                  {.kind = STEP_SQUEEZE},
                                  {.kind = STEP_LOWER},
                                  {.kind = STEP_NULLIF, .text = ""},
                                  {.kind = STEP_DEFAULT, .text = "none"},
                                  {.kind = STEP_TRUNCATE, .number = 5}};
    expect_chain(normal, 6, "  Größe \t 7 ", "größe");
    expect_chain(normal, 6, "Ab \u00a0c", "ab c");
    expect_chain(normal, 6, " \n ", "none");
    expect_chain(normal, 6, NULL, "none");
    const struct step mask[] = {{.kind = STEP_TRIM},
                                {.kind = STEP_LOWER},
                                {.kind = STEP_NULLIF, .text = ""},
                                {.kind = STEP_HASH, .key = &key}};
    expect_chain(mask, 4, " Ann@Example.COM ",
                 "9f70eb4f1d9f0194d58bc08c41ce2b3b2e4e580a424a246ce2484484122343df");
    expect_chain(mask, 4, " ", NULL);
    expect_chain(normal, 0, " A ", " A ");
    expect_chain(normal, 0, NULL, NULL);
}

/* Every step, also those that do not look at the value. */
Test(mapping_step, what_is_no_utf8_is_refused_and_not_shown) {
    static const char *const INVALID[] = {"secret\xff", "\xc3", "secret\xed\xa0\x80", "\xc0\x80secret",
                                          "\xf5"};
    for (enum step_kind kind = STEP_TRIM; kind <= STEP_FIXED; kind++) {
        const struct step step = {.kind = kind, .text = "x", .number = 1, .key = &key};
        for (size_t i = 0; i < sizeof INVALID / sizeof *INVALID; i++) {
            struct slice got;
            cr_assert_not(steps_run(&step, 1, slice_of(INVALID[i]), &arena, &got, &err));
            cr_expect_eq(err.kind, ERROR_DATA);
            cr_expect_null(strstr(error_line(&err).text, "secret"), "%s", err.text);
            cr_expect_str_neq(err.remedy, "");
        }
    }
}

Test(mapping_step, a_full_arena_names_the_step) {
    struct slice got;
    while (arena_alloc(&arena, 1) != NULL)
        continue;
    const struct step step = {.kind = STEP_PARTIAL, .text = "*"};
    cr_assert_not(steps_run(&step, 1, slice_of("abc"), &arena, &got, &err));
    cr_expect_eq(err.kind, ERROR_SYSTEM);
    cr_expect_str_eq(err.text, "step partial: out of memory");
}

Test(mapping_step, every_kind_has_a_name_of_its_own) {
    for (enum step_kind kind = STEP_TRIM; kind <= STEP_FIXED; kind++)
        for (enum step_kind other = STEP_TRIM; other < kind; other++)
            cr_expect_str_neq(step_name(kind), step_name(other));
    cr_expect_str_eq(step_name(STEP_TRIM), "trim");
    cr_expect_str_eq(step_name(STEP_FIXED), "fixed");
}

Test(mapping_step, what_can_make_two_keys_equal_says_so) {
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_LOWER}), UNIQUENESS_LOST);
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_NULLIF}), UNIQUENESS_PRESERVED);
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_DEFAULT}), UNIQUENESS_LOST);
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_HASH}), UNIQUENESS_LIKELY);
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_HASH, .number = 16}), UNIQUENESS_LIKELY);
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_HASH, .number = 15}), UNIQUENESS_LOST);
    cr_expect_eq(step_uniqueness(&(struct step){.kind = STEP_DIGITS}), UNIQUENESS_PRESERVED);
}
