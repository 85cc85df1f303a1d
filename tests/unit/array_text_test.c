/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array_text_test.c - the text of a PostgreSQL array, piece by piece.
 */
#include "sinks/formats/debezium/array_text.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

/* The pieces: brackets, N for null, <element>. */
static bool read_array(const char *text, struct buffer *pieces) {
    struct array_text array AUTO(array_text_release);
    enum array_piece piece;
    struct slice element;
    if (!array_text_init(&array, slice_of(text), ','))
        return false;
    while (array_text_next(&array, &piece, &element)) {
        if (piece == ARRAY_END)
            return true;
        if (piece == ARRAY_ELEMENT)
            buffer_printf(pieces, "<%.*s>", (int) element.size, element.data);
        else
            buffer_append_u8(pieces, piece == ARRAY_OPEN ? '[' : piece == ARRAY_CLOSE ? ']' : 'N');
    }
    return false;
}

static void expect_array(const char *text, const char *expected) {
    struct buffer pieces AUTO(buffer_release) = {.bytes_max = 1000};
    cr_assert(read_array(text, &pieces), "%s", text);
    cr_expect_str_eq(buffer_text(&pieces), expected);
}

Test(array_text, elements_are_unescaped) {
    expect_array("{}", "[]");
    expect_array("{1,NULL,3}", "[<1>N<3>]");
    expect_array("{\"\",\"NULL\",\"a,b\",\"{}\"}", "[<><NULL><a,b><{}>]");
    expect_array("{\"q\\\"\\\\\",\"\\\\\",\"\\\"\",\"a\\\\b\"}", "[<q\"\\><\\><\"><a\\b>]");
    expect_array("{a b,\" b \"}", "[<a b>< b >]");
}

Test(array_text, arrays_nest_and_have_bounds) {
    expect_array("{{1,2},{3,NULL}}", "[[<1><2>][<3>N]]");
    expect_array("{{{a}}}", "[[[<a>]]]");
    expect_array("[0:1]={1,2}", "[<1><2>]");
    expect_array("[-3:-2][1:1]={{1},{2}}", "[[<1>][<2>]]");
}

Test(array_text, what_is_no_array_is_refused) {
    const char *const texts[] = {
        "",         "1",       "{",       "}",     "{1",     "{1,",      "{1,}",
        "{,1}",     "{1}}",    "{1} ",    "{\"a}", "{\"a\\", "{a\"b\"}", "{\"a\"b}",
        "[0:1]{1}", "[0:1]=1", "[x]={1}", "{{1}",  "{1,{2}", "{a\\b}",   "{{{{{{{1}}}}}}}",
        "{}{}"};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buffer pieces AUTO(buffer_release) = {.bytes_max = 1000};
        cr_expect_not(read_array(texts[i], &pieces), "%s", texts[i]);
    }
}
