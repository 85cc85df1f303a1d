/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spill_test.c - what was appended comes out, whether it fitted into memory or not.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/spill.h"

static bool take_into(void *context, struct slice bytes, struct error *err) {
    (void) err;
    buffer_append_slice(context, bytes);
    return true;
}

static bool take_nothing(void *context, struct slice bytes, struct error *err) {
    (void) context;
    (void) bytes;
    return error_set(err, ERROR_RETRY, "not now");
}

static void append(struct spill *spill, const char *text) {
    struct error err = {0};
    cr_assert(spill_append(spill, slice_of(text), &err), "%s", err.text);
}

static void expect(struct spill *spill, const char *text) {
    AUTO(buffer_release) struct buffer taken = {.bytes_max = 1 << 20};
    struct error err = {0};
    cr_assert(spill_empty(spill, take_into, &taken, &err), "%s", err.text);
    cr_assert_str_eq(buffer_text(&taken), text);
    cr_assert(spill_is_empty(spill));
}

Test(spill, bytes_come_out_in_order_wherever_they_were) {
    AUTO(spill_release) struct spill spill;
    spill_init(&spill, 8);
    cr_assert(spill_is_empty(&spill));
    append(&spill, "1234");
    append(&spill, "5678");
    cr_assert_eq(spill.fd, -1, "the limit itself fits");
    append(&spill, "9");
    cr_assert_geq(spill.fd, 0);
    append(&spill, "one that is longer than the limit");
    append(&spill, ".");
    expect(&spill, "123456789one that is longer than the limit.");
}

Test(spill, it_is_used_again) {
    AUTO(spill_release) struct spill spill;
    spill_init(&spill, 2);
    append(&spill, "ab");
    append(&spill, "cd");
    expect(&spill, "abcd");
    cr_assert_eq(spill.fd, -1);
    append(&spill, "e");
    append(&spill, "fg");
    expect(&spill, "efg");
}

Test(spill, more_than_one_piece_of_the_file) {
    AUTO(buffer_release) struct buffer expected = {.bytes_max = 1 << 20};
    AUTO(spill_release) struct spill spill;
    spill_init(&spill, 1000);
    for (int i = 0; i < 20000; i++) {
        char text[16];
        snprintf(text, sizeof text, "%d,", i);
        append(&spill, text);
        buffer_append_text(&expected, text);
    }
    expect(&spill, buffer_text(&expected));
}

Test(spill, an_error_of_who_takes_is_passed_on) {
    AUTO(spill_release) struct spill spill;
    struct error err = {0};
    spill_init(&spill, 2);
    append(&spill, "abc");
    append(&spill, "d");
    cr_assert_not(spill_empty(&spill, take_nothing, NULL, &err));
    cr_assert_str_eq(err.text, "not now");
}

Test(spill, a_folder_that_is_not_there_is_an_error_with_its_name) {
    AUTO(spill_release) struct spill spill;
    struct error err = {0};
    setenv("TMPDIR", "/nonexistent", 1);
    spill_init(&spill, 2);
    append(&spill, "abc");
    cr_assert_not(spill_append(&spill, slice_of("d"), &err));
    cr_assert_eq(err.kind, ERROR_SYSTEM);
    cr_assert_not_null(strstr(err.text, "/nonexistent/pgcdc_"));
}
