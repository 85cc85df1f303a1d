/* SPDX-License-Identifier: Apache-2.0 */
/*
 * error_test.c - one line, a kind, and context in front.
 */
#include <criterion/criterion.h>
#include <errno.h>

#include "cdc/base/error.h"

Test(error, set_is_false_and_says_what) {
    struct error err = {.kind = ERROR_RETRY, .sqlstate = "40001"};
    cr_assert_not(error_set(&err, ERROR_CONFIG, "key %s of %d", "slot", 3));
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_assert_str_eq(err.text, "key slot of 3");
    cr_assert_str_eq(err.sqlstate, "", "another error's SQLSTATE is not this one's");
}

Test(error, it_is_one_line) {
    struct error err;
    error_set(&err, ERROR_PROTOCOL, "ERROR:  no\n\tDETAIL: x\r\n \n");
    cr_assert_null(strpbrk(err.text, "\n\r\t"), "\"%s\"", err.text);
    cr_assert_neq(err.text[strlen(err.text) - 1], ' ');
}

Test(error, wrap_puts_context_in_front_and_keeps_the_kind) {
    struct error err = {0};
    error_set(&err, ERROR_RETRY, "connection refused");
    memcpy(err.sqlstate, "08006", 6);
    cr_assert_not(error_wrap(&err, "sink %s", "warehouse"));
    cr_assert_str_eq(err.text, "sink warehouse: connection refused");
    cr_assert_eq(err.kind, ERROR_RETRY);
    cr_assert_str_eq(err.sqlstate, "08006");
}

Test(error, a_remedy_stands_beside_the_text_and_behind_it_in_a_line) {
    struct error err = {0};
    error_set(&err, ERROR_CONFIG, "slot shop is lost");
    cr_assert_str_eq(error_line(&err).text, "slot shop is lost");
    cr_assert_not(error_remedy(&err, "raise %s;\nthen start again\n", "it"));
    error_wrap(&err, "source");
    cr_assert_str_eq(err.text, "source: slot shop is lost");
    cr_assert_str_eq(error_line(&err).text, "source: slot shop is lost; raise it; then start again");
    error_set(&err, ERROR_RETRY, "another");
    cr_assert_str_eq(err.remedy, "", "another error's remedy is not this one's");
}

Test(error, long_text_is_cut_not_overrun) {
    struct error err;
    char text[ERROR_TEXT_MAX * 2];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    error_set(&err, ERROR_DATA, "%s", text);
    cr_assert_eq(strlen(err.text), ERROR_TEXT_MAX - 1);
    error_wrap(&err, "%s", text);
    cr_assert_lt(strlen(err.text), ERROR_TEXT_MAX);
    cr_assert_gt(strlen(err.text), ERROR_TEXT_MAX - 4, "nothing but the blank behind the colon goes");
    error_wrap(&err, "sink");
    cr_assert_eq(strncmp(err.text, "sink: xxx", 9), 0);
}

Test(error, errno_is_said_in_words) {
    struct error err;
    errno = ENOSPC;
    cr_assert_not(error_errno(&err, "checkpoint %s", "/var/lib"));
    cr_assert_eq(err.kind, ERROR_SYSTEM);
    cr_assert_str_eq(err.text, "checkpoint /var/lib: No space left on device");
}

Test(error, every_kind_has_a_name_of_its_own) {
    for (int a = ERROR_NONE; a <= ERROR_STOPPED; a++) {
        cr_assert_str_neq(error_kind_name(a), "unknown");
        for (int b = ERROR_NONE; b < a; b++)
            cr_assert_str_neq(error_kind_name(a), error_kind_name(b));
    }
}

Test(error, a_text_from_outside_cannot_move_the_cursor) {
    struct error err = {0};
    error_set(&err, ERROR_RETRY, "%s", "a\x1b[2J\x07\x7f\r\nb \xff \xc2\x9b \xc3\xa4");
    cr_assert_str_eq(err.text, "a\\x1b[2J\\x07\\x7f  b \\xff \\u009b \xc3\xa4");
    error_remedy(&err, "%s", "\x1b]0;x");
    error_wrap(&err, "%s", "\x1b");
    cr_assert_eq(strncmp(err.text, "\\x1b: a\\x1b", 11), 0, "%s", err.text);
    cr_assert_str_eq(err.remedy, "\\x1b]0;x");
}
