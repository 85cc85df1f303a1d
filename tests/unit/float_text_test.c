/* SPDX-License-Identifier: Apache-2.0 */
/*
 * float_text_test.c - a number's decimal text as the JSON number that Java writes.
 */
#include "sinks/formats/debezium/float_text.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static const struct {
    const char *text;
    const char *json;
} FLOATS[] = {
    {"0", "0.0"},
    {"-0", "-0.0"},
    {"5", "5.0"},
    {"1.5", "1.5"},
    {"-2", "-2.0"},
    {"1e+20", "1.0E20"},
    {"1e-07", "1.0E-7"},
    {"0.001", "0.001"},
    {"0.0001", "1.0E-4"},
    {"0.00123", "0.00123"},
    {"1234567", "1234567.0"},
    {"12345678", "1.2345678E7"},
    {"10000000", "1.0E7"},
    {"5e-324", "5.0E-324"},
    {"1.7976931348623157e+308", "1.7976931348623157E308"},
    {"123456.79", "123456.79"},
    {"NaN", "\"NaN\""},
    {"Infinity", "\"Infinity\""},
    {"-Infinity", "\"-Infinity\""},
};

Test(float_text, numbers_are_written_as_java_does) {
    for (size_t i = 0; i < COUNT(FLOATS); i++) {
        struct buffer json AUTO(buffer_release) = {.bytes_max = 1000};
        cr_assert(float_append_json(&json, slice_of(FLOATS[i].text)), "%s", FLOATS[i].text);
        cr_expect_str_eq(buffer_text(&json), FLOATS[i].json);
    }
}

static void expect_nearest(const char *text, const char *expected) {
    struct buffer json AUTO(buffer_release) = {.bytes_max = 1000};
    cr_assert(float_append_json_nearest(&json, slice_of(text)), "%s", text);
    cr_expect_str_eq(buffer_text(&json), expected);
}

Test(float_text, a_numeric_becomes_the_nearest_float) {
    expect_nearest("0.10", "0.1");
    expect_nearest("9007199254740993", "9.007199254740992E15");
    expect_nearest("123456789012345678901234567890", "1.2345678901234568E29");
    expect_nearest("0.1000000000000000055511151231257827", "0.1");
    expect_nearest("-1.50", "-1.5");
    expect_nearest("NaN", "\"NaN\"");
    char huge[410];
    memset(huge, '9', sizeof huge);
    huge[sizeof huge - 1] = '\0';
    expect_nearest(huge, "\"Infinity\"");
}

Test(float_text, what_is_no_float_is_refused) {
    const char *const texts[] = {"", "x", "1.", ".5", "1e", "inf", "nan", "0x1p3", "1,5", "+1"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buffer json AUTO(buffer_release) = {.bytes_max = 1000};
        cr_expect_not(float_append_json(&json, slice_of(texts[i])), "%s", texts[i]);
        cr_expect_not(float_append_json_nearest(&json, slice_of(texts[i])), "%s", texts[i]);
    }
}
