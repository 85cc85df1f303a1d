/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hstore_text_test.c - the text of an hstore, pair by pair.
 */
#include "sinks/formats/debezium/hstore_text.h"

#include <criterion/criterion.h>

#define COUNT(array) (sizeof(array) / sizeof *(array))

static bool read_hstore(const char *text, struct buffer *pairs) {
    struct hstore_text hstore AUTO(hstore_text_release);
    bool is_pair = true, is_null;
    hstore_text_init(&hstore, slice_of(text));
    while (hstore_text_next(&hstore, &is_pair, &is_null)) {
        if (!is_pair)
            return true;
        buffer_printf(pairs, "<%s:", buffer_text(&hstore.key));
        buffer_printf(pairs, "%s>", is_null ? "N" : buffer_text(&hstore.value));
    }
    return false;
}

static void expect_hstore(const char *text, const char *expected) {
    struct buffer pairs AUTO(buffer_release) = {.bytes_max = 1000};
    cr_assert(read_hstore(text, &pairs), "%s", text);
    cr_expect_str_eq(buffer_text(&pairs), expected);
}

Test(hstore_text, pairs_are_unescaped) {
    expect_hstore("", "");
    expect_hstore("\"a\"=>\"1\", \"b\"=>NULL", "<a:1><b:N>");
    expect_hstore("\"\"=>\"NULL\"", "<:NULL>");
    expect_hstore("\"c \\\"d\"=>\"e\\\\f\"", "<c \"d:e\\f>");
    expect_hstore("\"a, b=>c\"=>\"d, e\"", "<a, b=>c:d, e>");
}

Test(hstore_text, what_is_no_hstore_is_refused) {
    const char *const texts[] = {"a",
                                 "\"a\"",
                                 "\"a\"=>",
                                 "\"a\"=>1",
                                 "\"a\"=>\"1",
                                 "\"a\\",
                                 "\"a\"=>\"1\",",
                                 "\"a\"=>\"1\", ",
                                 "\"a\"=>NULL\"b\"=>NULL",
                                 ", "};
    for (size_t i = 0; i < COUNT(texts); i++) {
        struct buffer pairs AUTO(buffer_release) = {.bytes_max = 1000};
        cr_expect_not(read_hstore(texts[i], &pairs), "%s", texts[i]);
    }
}
