/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffer_test.c - growth, the maximum, and that a failed buffer stays as it was.
 */
#include <criterion/criterion.h>

#include "cdc/base/buffer.h"
#include "tests/support/random.h"

static struct buffer buffer_of(size_t bytes_max) {
    struct buffer buffer;
    buffer_init(&buffer, bytes_max);
    return buffer;
}

Test(buffer, appends_follow_each_other) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(100);
    buffer_append_text(&buffer, "slot ");
    buffer_append(&buffer, "shops", 4);
    buffer_append_slice(&buffer, slice_of("!"));
    buffer_printf(&buffer, " %d of %s", 7, "9");
    cr_assert_str_eq(buffer_text(&buffer), "slot shop! 7 of 9");
    cr_assert(buffer_ok(&buffer));
}

Test(buffer, integers_are_in_network_order) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(100);
    buffer_append_u8(&buffer, 0x01);
    buffer_append_u16(&buffer, 0x0203);
    buffer_append_u32(&buffer, 0x04050607);
    cr_assert(slice_equal(buffer_slice(&buffer), slice_of("\1\2\3\4\5\6\7")));
}

Test(buffer, the_text_does_not_count_its_nul) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(100);
    buffer_append_text(&buffer, "abc");
    cr_assert_str_eq(buffer_text(&buffer), "abc");
    buffer_append_text(&buffer, "def");
    cr_assert_str_eq(buffer_text(&buffer), "abcdef");
    cr_assert_eq(buffer.size, 6);
}

Test(buffer, an_empty_buffer_has_an_empty_text) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(100);
    cr_assert_str_eq(buffer_text(&buffer), "");
}

Test(buffer, it_fills_to_its_maximum_exactly) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(1000);
    for (int i = 0; i < 1000; i++)
        buffer_append_u8(&buffer, 'x');
    cr_assert(buffer_ok(&buffer));
    buffer_append_u8(&buffer, 'x');
    cr_assert_not(buffer_ok(&buffer));
    cr_assert_eq(buffer.size, 1000, "an append that does not fit leaves nothing behind");
}

Test(buffer, the_first_failure_is_for_good) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(10);
    buffer_append_text(&buffer, "eleven char");
    buffer_append_text(&buffer, "one");
    cr_assert_not(buffer_ok(&buffer));
    cr_assert_eq(buffer.size, 0);
    cr_assert_null(buffer_text(&buffer));
}

Test(buffer, a_text_as_long_as_the_maximum_has_no_room_for_its_nul) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(3);
    buffer_append_text(&buffer, "abc");
    cr_assert(buffer_ok(&buffer));
    cr_assert_null(buffer_text(&buffer));
}

Test(buffer, printf_that_does_not_fit_fails) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(8);
    buffer_printf(&buffer, "%s", "12345678");
    cr_assert_not(buffer_ok(&buffer), "eight characters and the NUL that vsnprintf writes");
    cr_assert_eq(buffer.size, 0);
}

Test(buffer, huge_sizes_do_not_wrap) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(100);
    buffer_append_text(&buffer, "abc");
    cr_assert_not(buffer_reserve(&buffer, SIZE_MAX));
    cr_assert_not(buffer_ok(&buffer));
}

Test(buffer, reset_forgets_bytes_and_failure) {
    AUTO(buffer_release) struct buffer buffer = buffer_of(8);
    buffer_append_text(&buffer, "far too long");
    buffer_reset(&buffer);
    buffer_append_text(&buffer, "fits");
    cr_assert_str_eq(buffer_text(&buffer), "fits");
}

Test(buffer, release_accepts_zeroed_and_released) {
    struct buffer buffer = {0};
    buffer_release(&buffer);
    buffer = buffer_of(8);
    buffer_append_text(&buffer, "x");
    buffer_release(&buffer);
    buffer_release(&buffer);
    cr_assert_eq(buffer.size, 0);
}

Test(buffer, random_appends_agree_with_a_plain_array) {
    struct random random = random_start("buffer");
    for (int program = 0; program < 200; program++) {
        AUTO(buffer_release) struct buffer buffer = buffer_of(4000);
        char model[4000];
        size_t size = 0;
        bool failed = false;
        for (int step = 0; step < 100; step++) {
            char bytes[200];
            size_t length = random_below(&random, sizeof bytes);
            memset(bytes, (int) random_below(&random, 256), sizeof bytes);
            buffer_append(&buffer, bytes, length);
            failed = failed || size + length > sizeof model;
            if (!failed) {
                memcpy(model + size, bytes, length);
                size += length;
            }
            cr_assert_eq(buffer_ok(&buffer), !failed);
            cr_assert_leq(buffer.capacity, sizeof model);
        }
        cr_assert(slice_equal(buffer_slice(&buffer), (struct slice){.data = model, .size = size}));
    }
}
