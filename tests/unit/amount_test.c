/* SPDX-License-Identifier: Apache-2.0 */
/*
 * amount_test.c - quantities as people read them.
 */
#include "cdc/base/amount.h"

#include <criterion/criterion.h>

Test(amount, bytes_change_their_unit_at_a_thousand) {
    cr_expect_str_eq(amount_bytes(0).text, "0 B");
    cr_expect_str_eq(amount_bytes(999).text, "999 B");
    cr_expect_str_eq(amount_bytes(1000).text, "1.0 kB");
    cr_expect_str_eq(amount_bytes(12345678).text, "12 MB");
    cr_expect_str_eq(amount_bytes(4.0e15).text, "4000 TB");
}

Test(amount, counts_have_a_noun_in_their_number) {
    cr_expect_str_eq(amount_count(0, "row").text, "0 rows");
    cr_expect_str_eq(amount_count(1, "row").text, "1 row");
    cr_expect_str_eq(amount_count(2, "batch").text, "2 batches");
    cr_expect_str_eq(amount_count(UINT64_MAX, "published table").text,
                     "18446744073709551615 published tables");
}

Test(amount, durations_change_their_unit_at_two_of_it) {
    cr_expect_str_eq(amount_duration(0).text, "0.0 s");
    cr_expect_str_eq(amount_duration(1234).text, "1.2 s");
    cr_expect_str_eq(amount_duration(119000).text, "119 s");
    cr_expect_str_eq(amount_duration(120000).text, "2 min");
    cr_expect_str_eq(amount_duration(INT64_C(7200) * 1000).text, "2 h");
    cr_expect_str_eq(amount_duration(INT64_C(86400) * 1000 * 9).text, "9 d");
}

Test(amount, a_rate_is_a_number_of_megabytes_a_second) {
    static const char *const WRONG[] = {
        "", "0", "-1", " 5", "5kB", "5MB/h", "5 MB", "fast", "99999999999999999999"};
    uint64_t bytes = 0;
    cr_assert(amount_parse_rate("20", &bytes));
    cr_assert_eq(bytes, UINT64_C(20) << 20);
    cr_assert(amount_parse_rate("20MB", &bytes) && amount_parse_rate("20MB/s", &bytes));
    cr_assert_eq(bytes, UINT64_C(20) << 20);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(amount_parse_rate(WRONG[i], &bytes), "%s", WRONG[i]);
}

Test(amount, bytes_have_a_unit) {
    static const char *const WRONG[] = {"", "0MB", "5", "-5MB", "5 MB", "5TB", "5mb", "MB", "100000000kB"};
    uint64_t bytes = 0;
    cr_assert(amount_parse_bytes("64kB", &bytes));
    cr_assert_eq(bytes, 65536);
    cr_assert(amount_parse_bytes("3GB", &bytes));
    cr_assert_eq(bytes, UINT64_C(3) << 30);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(amount_parse_bytes(WRONG[i], &bytes), "%s", WRONG[i]);
}

Test(amount, a_duration_may_have_a_unit) {
    static const char *const WRONG[] = {"", "0s", "-5s", "5 s", "5w", "s", "99999999999h"};
    int64_t ms = 0;
    cr_assert(amount_parse_duration("500ms", &ms) && ms == 500);
    cr_assert(amount_parse_duration("30", &ms) && ms == 30000);
    cr_assert(amount_parse_duration("5m", &ms) && ms == 300000);
    cr_assert(amount_parse_duration("1d", &ms) && ms == 86400000);
    for (size_t i = 0; i < sizeof WRONG / sizeof *WRONG; i++)
        cr_assert_not(amount_parse_duration(WRONG[i], &ms), "%s", WRONG[i]);
}
