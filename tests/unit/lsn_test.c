/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lsn_test.c - the text form, both ways.
 */
#include <criterion/criterion.h>

#include "cdc/base/lsn.h"
#include "tests/support/random.h"

Test(lsn, its_text_is_what_postgres_prints) {
    cr_assert_str_eq(lsn_format(0).text, "0/0");
    cr_assert_str_eq(lsn_format(UINT64_C(0x16B374D848)).text, "16/B374D848");
    cr_assert_str_eq(lsn_format(UINT64_C(0x100000000)).text, "1/0");
    cr_assert_str_eq(lsn_format(UINT64_MAX).text, "FFFFFFFF/FFFFFFFF");
}

Test(lsn, what_is_not_exactly_an_lsn_is_refused) {
    static const char *const BAD[] = {"",     "/",           "0",           "0/",  "/0",  "0/0/0",
                                      "0/0 ", " 0/0",        "0x1/2",       "g/0", "0/g", "-1/0",
                                      "+1/0", "123456789/0", "0/123456789", "0//0"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        lsn_t lsn = 42;
        cr_assert_not(lsn_parse(BAD[i], &lsn), "\"%s\"", BAD[i]);
        cr_assert_eq(lsn, 42, "\"%s\" touched the result", BAD[i]);
    }
}

Test(lsn, both_cases_and_leading_zeroes_are_read) {
    lsn_t lsn = 0;
    cr_assert(lsn_parse("16/b374d848", &lsn));
    cr_assert_eq(lsn, UINT64_C(0x16B374D848));
    cr_assert(lsn_parse("00000016/B374D848", &lsn));
    cr_assert_eq(lsn, UINT64_C(0x16B374D848));
}

Test(lsn, what_is_printed_is_read_back) {
    struct random random = random_start("lsn");
    for (int i = 0; i < 100000; i++) {
        lsn_t lsn = random_next(&random) >> random_below(&random, 64);
        lsn_t back = ~lsn;
        cr_assert(lsn_parse(lsn_format(lsn).text, &back));
        cr_assert_eq(back, lsn);
    }
}
