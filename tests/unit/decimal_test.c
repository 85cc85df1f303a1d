/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decimal_test.c - a numeric's text as an integer and a scale.
 */
#include "sinks/formats/debezium/decimal.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static void append_hex(struct buffer *hex, const struct buffer *bytes) {
    for (size_t i = 0; i < bytes->size; i++)
        buffer_printf(hex, "%02x", (unsigned char) bytes->data[i]);
}

static void expect_unscaled(const char *text, uint32_t scale, const char *expected) {
    struct buffer scratch AUTO(buffer_release) = {.bytes_max = 1000000};
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = 1000000};
    struct buffer hex AUTO(buffer_release) = {.bytes_max = 1000000};
    struct decimal decimal;
    cr_assert(decimal_parse(slice_of(text), &decimal), "%s", text);
    cr_assert(decimal_append_unscaled(&decimal, scale, &scratch, &bytes), "%s", text);
    append_hex(&hex, &bytes);
    cr_expect_str_eq(buffer_text(&hex), expected);
}

Test(decimal, the_bytes_are_as_few_as_hold_the_sign) {
    expect_unscaled("0", 0, "00");
    expect_unscaled("-0", 0, "00");
    expect_unscaled("0.00", 2, "00");
    expect_unscaled("127", 0, "7f");
    expect_unscaled("128", 0, "0080");
    expect_unscaled("255", 0, "00ff");
    expect_unscaled("256", 0, "0100");
    expect_unscaled("-1", 0, "ff");
    expect_unscaled("-128", 0, "80");
    expect_unscaled("-129", 0, "ff7f");
    expect_unscaled("-256", 0, "ff00");
}

Test(decimal, limbs_carry_into_each_other) {
    expect_unscaled("9223372036854775807", 0, "7fffffffffffffff");
    expect_unscaled("9223372036854775808", 0, "008000000000000000");
    expect_unscaled("-9223372036854775808", 0, "8000000000000000");
    expect_unscaled("18446744073709551615", 0, "00ffffffffffffffff");
    expect_unscaled("18446744073709551616", 0, "010000000000000000");
    expect_unscaled("-18446744073709551616", 0, "ff0000000000000000");
    expect_unscaled("340282366920938463463374607431768211456", 0, "0100000000000000000000000000000000");
    expect_unscaled("-340282366920938463463374607431768211457", 0, "feffffffffffffffffffffffffffffffff");
}

Test(decimal, the_scale_moves_the_point) {
    expect_unscaled("123.45", 2, "3039");
    expect_unscaled("-123.45", 2, "cfc7");
    expect_unscaled("1.5", 3, "05dc");
    expect_unscaled("1", 2, "64");
    expect_unscaled("1.500", 1, "0f");
}

Test(decimal, digits_beyond_the_scale_are_refused) {
    struct buffer scratch AUTO(buffer_release) = {.bytes_max = 1000};
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = 1000};
    struct decimal decimal;
    cr_assert(decimal_parse(slice_of("1.25"), &decimal));
    cr_expect_not(decimal_append_unscaled(&decimal, 1, &scratch, &bytes));
}

/* 256^n is a one and n zero bytes, whatever n. */
Test(decimal, thousands_of_digits_are_exact) {
    enum { BYTES = 2000 };
    static unsigned char digits[BYTES * 3];
    size_t count = 1;
    digits[0] = 1;
    for (int i = 0; i < BYTES; i++) {
        unsigned carry = 0;
        for (size_t at = 0; at < count; at++) {
            carry += digits[at] * 256U;
            digits[at] = (unsigned char) (carry % 10);
            carry /= 10;
        }
        for (; carry > 0; carry /= 10)
            digits[count++] = (unsigned char) (carry % 10);
    }
    static char text[BYTES * 3 + 1], expected[BYTES * 2 + 3];
    for (size_t at = 0; at < count; at++)
        text[at] = (char) ('0' + digits[count - 1 - at]);
    memset(expected, '0', BYTES * 2 + 2);
    expected[1] = '1';
    expect_unscaled(text, 0, expected);
}

Test(decimal, special_values_are_no_numbers) {
    struct decimal decimal;
    cr_assert(decimal_parse(slice_of("NaN"), &decimal));
    cr_expect_eq(decimal.kind, DECIMAL_NAN);
    cr_assert(decimal_parse(slice_of("Infinity"), &decimal));
    cr_expect_eq(decimal.kind, DECIMAL_INFINITY);
    cr_assert(decimal_parse(slice_of("-Infinity"), &decimal));
    cr_expect_eq(decimal.kind, DECIMAL_MINUS_INFINITY);
}

Test(decimal, what_is_no_numeric_is_refused) {
    const char *const texts[] = {"",      "-",  ".",   ".5",  "5.",  "1e5", "+1",
                                 "1.2.3", "1-", "--1", "0x1", "nan", " 1",  "1 "};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct decimal decimal;
        cr_expect_not(decimal_parse(slice_of(texts[i]), &decimal), "%s", texts[i]);
    }
}
