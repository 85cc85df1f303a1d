/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_test.c - fields of network order, and what happens when they are not there.
 */
#include <criterion/criterion.h>

#include "cdc/base/cursor.h"

static struct cursor over(const char *bytes, size_t size) {
    return cursor_over((struct slice){.data = bytes, .size = size});
}

Test(cursor, integers_are_read_in_network_order) {
    struct cursor cursor = over("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 15);
    cr_assert_eq(cursor_u8(&cursor), 0x01);
    cr_assert_eq(cursor_u16(&cursor), 0x0203);
    cr_assert_eq(cursor_u32(&cursor), 0x04050607);
    cr_assert_eq(cursor_u64(&cursor), UINT64_C(0x08090a0b0c0d0e0f));
    cr_assert(cursor_finish(&cursor));
}

Test(cursor, past_the_end_fails_for_good) {
    struct cursor cursor = over("\x01", 1);
    cr_assert_eq(cursor_u32(&cursor), 0);
    cr_assert_eq(cursor_u8(&cursor), 0, "a failed cursor reads nothing more");
    cr_assert_not(cursor_finish(&cursor));
}

Test(cursor, a_rest_is_not_finished) {
    struct cursor cursor = over("\x01\x02", 2);
    cursor_u8(&cursor);
    cr_assert_not(cursor_finish(&cursor));
    cursor_u8(&cursor);
    cr_assert(cursor_finish(&cursor));
}

Test(cursor, nothing_is_finished_at_once) {
    struct cursor cursor = over("", 0);
    cr_assert(cursor_finish(&cursor));
    cr_assert_eq(cursor_u8(&cursor), 0);
    cr_assert_not(cursor_finish(&cursor));
}

Test(cursor, bytes_are_a_view_and_not_a_copy) {
    const char bytes[] = "shopping";
    struct cursor cursor = over(bytes, 8);
    struct slice shop = cursor_bytes(&cursor, 4);
    cr_assert_eq(shop.data, bytes);
    cr_assert_eq(shop.size, 4);
    cr_assert_eq(cursor_left(&cursor), 4);
}

Test(cursor, a_length_beyond_the_bytes_left_fails) {
    struct cursor cursor = over("\xff\xff\xff\xff"
                                "abc",
                                7);
    struct slice bytes = cursor_bytes(&cursor, cursor_u32(&cursor));
    cr_assert_eq(bytes.size, 0);
    cr_assert_not(cursor_finish(&cursor));
}

Test(cursor, the_largest_size_does_not_wrap) {
    struct cursor cursor = over("abc", 3);
    cr_assert_eq(cursor_bytes(&cursor, SIZE_MAX).size, 0);
    cr_assert(cursor.failed);
}

Test(cursor, a_string_ends_at_its_nul) {
    struct cursor cursor = over("ab\0\0cd", 6);
    cr_assert(slice_equal(cursor_string(&cursor), slice_of("ab")));
    cr_assert_eq(cursor_string(&cursor).size, 0);
    cr_assert_not(cursor.failed, "an empty string is a string");
    cr_assert_eq(cursor_string(&cursor).size, 0);
    cr_assert(cursor.failed, "a string without its NUL is none");
}
