/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identifier_test.c - names and literals that stay one token whatever is in them.
 */
#include <criterion/criterion.h>

#include "cdc/pq/identifier.h"

static struct buffer empty(void) {
    struct buffer buffer;
    buffer_init(&buffer, 1000);
    return buffer;
}

static void expect_identifier(const char *name, const char *quoted) {
    AUTO(buffer_release) struct buffer sql = empty();
    identifier_append(&sql, slice_of(name));
    cr_assert_str_eq(buffer_text(&sql), quoted);
}

static void expect_literal(const char *text, const char *quoted) {
    AUTO(buffer_release) struct buffer sql = empty();
    literal_append(&sql, slice_of(text));
    cr_assert_str_eq(buffer_text(&sql), quoted);
}

Test(identifier, a_name_is_always_quoted) {
    expect_identifier("users", "\"users\"");
    expect_identifier("select", "\"select\"");
    expect_identifier("Mixed Case", "\"Mixed Case\"");
    expect_identifier("", "\"\"");
    expect_identifier("a.b'c\\d;--", "\"a.b'c\\d;--\"");
    expect_identifier("größe 表", "\"größe 表\"");
}

Test(identifier, inner_quotes_are_doubled) {
    expect_identifier("a\"b", "\"a\"\"b\"");
    expect_identifier("\"\"", "\"\"\"\"\"\"");
    expect_identifier("x\"; drop table y; --", "\"x\"\"; drop table y; --\"");
}

Test(identifier, schema_and_name_are_quoted_apart) {
    AUTO(buffer_release) struct buffer sql = empty();
    identifier_append_qualified(&sql, slice_of("s.\"1"), slice_of("t"));
    cr_assert_str_eq(buffer_text(&sql), "\"s.\"\"1\".\"t\"");
}

Test(identifier, a_slice_ends_where_its_size_says) {
    AUTO(buffer_release) struct buffer sql = empty();
    identifier_append(&sql, (struct slice){.data = "shopping", .size = 4});
    cr_assert_str_eq(buffer_text(&sql), "\"shop\"");
}

Test(identifier, literals_double_quotes) {
    expect_literal("it's", "'it''s'");
    expect_literal("", "''");
    expect_literal("say \"x\"", "'say \"x\"'");
}

Test(identifier, backslashes_mean_themselves_whatever_the_session_says) {
    expect_literal("a\\b", " E'a\\\\b'");
    expect_literal("\\'; drop table x; --", " E'\\\\''; drop table x; --'");
}

Test(identifier, a_name_that_a_terminal_would_not_show_is_spelled_for_people) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    identifier_append_printable_qualified(&sql, slice_of("a\nb\x1b\\\"c"), slice_of("plain"));
    cr_assert_str_eq(buffer_text(&sql), "U&\"a\\000ab\\001b\\\\\"\"c\".\"plain\"");
}
