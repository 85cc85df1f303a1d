/* SPDX-License-Identifier: Apache-2.0 */
/*
 * base64_test.c - bytes as base64, and hexadecimal digits as bytes.
 */
#include "sinks/formats/debezium/base64.h"

#include <criterion/criterion.h>

static void expect_base64(enum base64_alphabet alphabet, const char *hex, const char *expected) {
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = 1000};
    struct buffer text AUTO(buffer_release) = {.bytes_max = 1000};
    cr_assert(hex_append_bytes(&bytes, slice_of(hex)));
    base64_append(&text, alphabet, buffer_slice(&bytes));
    cr_expect_str_eq(buffer_text(&text), expected);
}

Test(base64, groups_are_padded) {
    expect_base64(BASE64_STANDARD, "", "");
    expect_base64(BASE64_STANDARD, "66", "Zg==");
    expect_base64(BASE64_STANDARD, "666f", "Zm8=");
    expect_base64(BASE64_STANDARD, "666f6F", "Zm9v");
    expect_base64(BASE64_STANDARD, "fbefff", "++//");
    expect_base64(BASE64_URL_SAFE, "fbefff", "--__");
}

Test(base64, what_is_no_hexadecimal_is_refused) {
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = 1000};
    cr_expect_not(hex_append_bytes(&bytes, slice_of("0")));
    cr_expect_not(hex_append_bytes(&bytes, slice_of("0g")));
    cr_expect_not(hex_append_bytes(&bytes, slice_of("x0")));
}
