/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partition_account_test.c - what is written is what is read, and nothing else is; sums stay as they are.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sinks/kafka/account/partition_account.h"

static const char NAME[] = "#records/shop.public.t/12/16384";
static const char ACCOUNT[] = "{\"from\":7,\"count\":1204331,\"places\":\"00000000000000ab\"}";

static bool is_name(const char *text) {
    struct account_name name;
    return account_name_parse(slice_of(text), &name);
}

static bool is_account(const char *text) {
    struct partition_account account;
    return account_parse(slice_of(text), &account);
}

Test(partition_account, a_name_comes_back_as_it_was) {
    char key[ACCOUNT_KEY_MAX];
    struct account_name name;
    cr_assert(account_name_parse(slice_of(NAME), &name));
    cr_assert(slice_equal(name.topic, slice_of("shop.public.t")));
    cr_assert_eq(name.partition, 12);
    cr_assert_eq(name.oid, 16384);
    cr_assert(account_name_format("shop.events", &name, key));
    cr_assert_str_eq(key, "shop.events#records/shop.public.t/12/16384");
}

Test(partition_account, an_account_comes_back_as_it_was) {
    char text[ACCOUNT_TEXT_MAX];
    struct partition_account account;
    const struct partition_account full = {.from = INT64_MAX, .count = UINT64_MAX, .places = UINT64_MAX};
    cr_assert(account_parse(slice_of(ACCOUNT), &account));
    account_format(&account, text);
    cr_assert_str_eq(text, ACCOUNT);
    account_format(&full, text);
    cr_assert(account_parse(slice_of(text), &account));
    cr_assert_eq(memcmp(&account, &full, sizeof full), 0);
}

Test(partition_account, nothing_else_is_taken_for_one) {
    char text[128];
    for (size_t i = 0; i < strlen(ACCOUNT); i++) {
        snprintf(text, sizeof text, "%.*s", (int) i, ACCOUNT);
        cr_assert_not(is_account(text), "%s", text);
        snprintf(text, sizeof text, "%s", ACCOUNT);
        text[i] = '#';
        cr_assert_not(is_account(text), "%s", text);
    }
    cr_assert_not(is_account("{\"from\":7,\"count\":1,\"places\":\"00000000000000ab\"} "));
    cr_assert_not(is_account("{\"from\":7,\"count\":18446744073709551616,\"places\":\"00000000000000ab\"}"));
    cr_assert(is_name(NAME));
    cr_assert_not(is_name("#records/shop.public.t/12"));
    cr_assert_not(is_name("#records/shop.public.t/12/16384/"));
    cr_assert_not(is_name("#records/shop.public.t/012/16384"));
    cr_assert_not(is_name("#records/shop.public.t/12/4294967296"));
    cr_assert_not(is_name("#chunk.12"));
}

Test(partition_account, a_name_that_is_too_long_is_refused) {
    char long_topic[ACCOUNT_KEY_MAX], key[ACCOUNT_KEY_MAX];
    memset(long_topic, 'a', sizeof long_topic);
    const struct account_name name = {.topic = {.data = long_topic, .size = sizeof long_topic}};
    cr_assert_not(account_name_format("shop.events", &name, key));
}

/* They are stored, and compared with those of a later version. */
Test(partition_account, sums_do_not_depend_on_an_order_and_stay_as_they_are) {
    struct partition_account one = {0}, other = {0}, another = {0};
    account_add(&one, 0x1000, 1);
    account_add(&one, 0x2000, 0);
    account_add(&other, 0x2000, 0);
    account_add(&other, 0x1000, 1);
    account_add(&another, 0x2000, 1);
    account_add(&another, 0x1000, 0);
    cr_assert_eq(one.count, 2);
    cr_assert_eq(one.places, other.places);
    cr_assert_neq(one.places, another.places);
    cr_assert_eq(one.places, UINT64_C(0xd6270af19ab1a791), "%016llx", (unsigned long long) one.places);
}
