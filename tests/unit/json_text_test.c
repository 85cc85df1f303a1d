/* SPDX-License-Identifier: Apache-2.0 */
/*
 * json_text_test.c - what JSON allows.
 */
#include "cdc/base/json_text.h"
#include "cdc/base/utf8.h"

#include <criterion/criterion.h>

#define TEXT_OF(literal) ((struct slice){.data = (literal), .size = sizeof(literal) - 1})

static void expect_string(struct slice text, const char *expected) {
    struct buffer json AUTO(buffer_release) = {.bytes_max = 1024};
    cr_assert(json_append_string(&json, text));
    cr_expect_str_eq(buffer_text(&json), expected);
}

Test(json_text, what_json_would_misread_is_escaped) {
    expect_string(TEXT_OF(""), "\"\"");
    expect_string(TEXT_OF("a\"b\\c/d"), "\"a\\\"b\\\\c/d\"");
    expect_string(TEXT_OF("\b\t\n\f\r"), "\"\\b\\t\\n\\f\\r\"");
    expect_string(TEXT_OF("\x01\x1f\x7f"), "\"\\u0001\\u001F\x7f\"");
    expect_string(TEXT_OF("nul\0."), "\"nul\\u0000.\"");
}

Test(json_text, other_characters_stay_as_they_are) {
    expect_string(TEXT_OF("gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xe2\x80\xa8"),
                  "\"gr\xc3\xbc\xc3\x9f \xf0\x9f\x98\x80 \xe2\x80\xa8\"");
}

Test(json_text, what_is_not_utf8_is_refused_and_leaves_nothing) {
    const struct slice broken[] = {
        TEXT_OF("a\xff"),
        TEXT_OF("a\xc3"),
        TEXT_OF("\xc0\x80"),
        TEXT_OF("\xed\xa0\x80"),
        TEXT_OF("\xf4\x90\x80\x80"),
        TEXT_OF("\x80"),
    };
    for (size_t i = 0; i < sizeof broken / sizeof *broken; i++) {
        struct buffer json AUTO(buffer_release) = {.bytes_max = 1024};
        buffer_append_text(&json, "before");
        cr_expect_not(json_append_string(&json, broken[i]), "text %zu", i);
        cr_expect_str_eq(buffer_text(&json), "before");
        cr_expect_not(utf8_is_valid(broken[i]), "text %zu", i);
    }
}

Test(json_text, integers_have_all_their_digits) {
    struct buffer json AUTO(buffer_release) = {.bytes_max = 1024};
    const int64_t numbers[] = {0, -1, 10, INT64_MAX, INT64_MIN};
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        json_append_integer(&json, numbers[i]);
        buffer_append_u8(&json, ' ');
    }
    cr_expect_str_eq(buffer_text(&json), "0 -1 10 9223372036854775807 -9223372036854775808 ");
}
