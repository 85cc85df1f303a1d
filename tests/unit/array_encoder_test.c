/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array_encoder_test.c - arrays as PostgreSQL reads them.
 */
#include <criterion/criterion.h>

#include "sinks/postgres/apply/array_encoder.h"

static const struct target_column COLUMN = {.type_oid = 25, .array_oid = 1009, .delimiter = ','};

static void release(struct buffer *buffer) {
    buffer_release(buffer);
}

static struct value of(enum value_kind kind, const char *text) {
    return (struct value){.kind = kind, .data = text, .size = (uint32_t) strlen(text)};
}

static void encode(struct buffer *buffer, bool is_binary, const struct value *values, uint32_t count) {
    struct array_encoder array;
    array_encoder_begin(&array, buffer, &COLUMN, is_binary, count);
    for (uint32_t i = 0; i < count; i++)
        array_encoder_add(&array, &values[i]);
    array_encoder_end(&array);
    cr_assert(buffer_ok(buffer));
}

static void expect_text(const struct value *values, uint32_t count, const char *expected) {
    AUTO(release) struct buffer buffer = {.bytes_max = 4096};
    encode(&buffer, false, values, count);
    cr_assert_str_eq(buffer.data, expected);
    cr_assert_eq(buffer.size, strlen(expected) + 1, "the NUL counts");
}

Test(array_encoder, text_is_always_quoted) {
    const struct value values[] = {of(VALUE_TEXT, "a"), of(VALUE_TEXT, ""), of(VALUE_TEXT, "NULL")};
    expect_text(values, 3, "{\"a\",\"\",\"NULL\"}");
}

Test(array_encoder, null_is_not_quoted) {
    const struct value values[] = {{.kind = VALUE_NULL}, of(VALUE_TEXT, "x")};
    expect_text(values, 2, "{NULL,\"x\"}");
}

Test(array_encoder, quotes_and_backslashes_are_escaped) {
    const struct value values[] = {of(VALUE_TEXT, "a\"b\\c"), of(VALUE_TEXT, "{,}")};
    expect_text(values, 2, "{\"a\\\"b\\\\c\",\"{,}\"}");
}

Test(array_encoder, binary_has_a_header_and_sizes) {
    static const char EXPECTED[] = "\0\0\0\1\0\0\0\1\0\0\0\x19\0\0\0\2\0\0\0\1"
                                   "\0\0\0\2hi\xff\xff\xff\xff";
    const struct value values[] = {of(VALUE_BINARY, "hi"), {.kind = VALUE_NULL}};
    AUTO(release) struct buffer buffer = {.bytes_max = 4096};
    encode(&buffer, true, values, 2);
    cr_assert_eq(buffer.size, sizeof EXPECTED - 1);
    cr_assert_arr_eq(buffer.data, EXPECTED, sizeof EXPECTED - 1);
}
