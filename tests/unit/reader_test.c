/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader_test.c - fields of network order, and what happens when they are not there.
 */
#include <criterion/criterion.h>

#include "cdc/base/reader.h"

static struct reader over(const char *bytes, size_t size) {
    return reader_over((struct slice){.data = bytes, .size = size});
}

Test(reader, integers_are_read_in_network_order) {
    struct reader reader = over("\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f", 15);
    cr_assert_eq(reader_u8(&reader), 0x01);
    cr_assert_eq(reader_u16(&reader), 0x0203);
    cr_assert_eq(reader_u32(&reader), 0x04050607);
    cr_assert_eq(reader_u64(&reader), UINT64_C(0x08090a0b0c0d0e0f));
    cr_assert(reader_finish(&reader));
}

Test(reader, past_the_end_fails_for_good) {
    struct reader reader = over("\x01", 1);
    cr_assert_eq(reader_u32(&reader), 0);
    cr_assert_eq(reader_u8(&reader), 0, "a failed reader reads nothing more");
    cr_assert_not(reader_finish(&reader));
}

Test(reader, a_rest_is_not_finished) {
    struct reader reader = over("\x01\x02", 2);
    reader_u8(&reader);
    cr_assert_not(reader_finish(&reader));
    reader_u8(&reader);
    cr_assert(reader_finish(&reader));
}

Test(reader, nothing_is_finished_at_once) {
    struct reader reader = over("", 0);
    cr_assert(reader_finish(&reader));
    cr_assert_eq(reader_u8(&reader), 0);
    cr_assert_not(reader_finish(&reader));
}

Test(reader, bytes_are_a_view_and_not_a_copy) {
    const char bytes[] = "shopping";
    struct reader reader = over(bytes, 8);
    struct slice shop = reader_bytes(&reader, 4);
    cr_assert_eq(shop.data, bytes);
    cr_assert_eq(shop.size, 4);
    cr_assert_eq(reader_left(&reader), 4);
}

Test(reader, a_length_beyond_the_bytes_left_fails) {
    struct reader reader = over("\xff\xff\xff\xff"
                                "abc",
                                7);
    struct slice bytes = reader_bytes(&reader, reader_u32(&reader));
    cr_assert_eq(bytes.size, 0);
    cr_assert_not(reader_finish(&reader));
}

Test(reader, the_largest_size_does_not_wrap) {
    struct reader reader = over("abc", 3);
    cr_assert_eq(reader_bytes(&reader, SIZE_MAX).size, 0);
    cr_assert(reader.failed);
}

Test(reader, a_string_ends_at_its_nul) {
    struct reader reader = over("ab\0\0cd", 6);
    cr_assert(slice_equal(reader_string(&reader), slice_of("ab")));
    cr_assert_eq(reader_string(&reader).size, 0);
    cr_assert_not(reader.failed, "an empty string is a string");
    cr_assert_eq(reader_string(&reader).size, 0);
    cr_assert(reader.failed, "a string without its NUL is none");
}
