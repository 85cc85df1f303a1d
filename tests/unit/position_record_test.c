/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_record_test.c - what is written is what is read, and nothing else is.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sinks/kafka/position/position_record.h"

static const struct position_record FULL = {.claim = UINT64_MAX,
                                            .position = {.end_lsn = UINT64_MAX,
                                                         .commit_lsn = UINT64_MAX - 1,
                                                         .index = UINT64_MAX,
                                                         .system_id = UINT64_MAX,
                                                         .timeline = UINT32_MAX}};

static const char GOOD[] =
    "{\"version\":1,\"claim\":\"00000000000000ab\",\"end_lsn\":\"16/B374D848\",\"commit_lsn\":\"0/0\","
    "\"index\":0,\"system_id\":\"7316\",\"timeline\":1}";

static bool parses(const char *text) {
    struct position_record record;
    return position_record_parse(slice_of(text), &record);
}

Test(position_record, comes_back_as_it_was) {
    struct position_record back = {0};
    const struct position_text text = position_record_format(&FULL);
    cr_assert(position_record_parse(slice_of(text.text), &back), "%s", text.text);
    cr_assert_eq(back.claim, FULL.claim);
    cr_assert_eq(back.position.end_lsn, FULL.position.end_lsn);
    cr_assert_eq(back.position.commit_lsn, FULL.position.commit_lsn);
    cr_assert_eq(back.position.index, FULL.position.index);
    cr_assert_eq(back.position.system_id, FULL.position.system_id);
    cr_assert_eq(back.position.timeline, FULL.position.timeline);
    cr_assert_not(back.has_plan);
}

Test(position_record, with_a_plan_it_is_one_that_an_older_engine_refuses) {
    struct position_record back = {0};
    struct position_record record = FULL;
    record.has_plan = true;
    const struct position_text text = position_record_format(&record);
    cr_assert_not_null(strstr(text.text, "{\"version\":2,"));
    cr_assert(position_record_parse(slice_of(text.text), &back));
    cr_assert(back.has_plan);
    cr_assert_not(
        parses("{\"version\":5,\"claim\":\"00000000000000ab\",\"end_lsn\":\"0/1\",\"commit_lsn\":\"0/0\","
               "\"index\":0,\"system_id\":\"7316\",\"timeline\":1}"));
}

Test(position_record, with_accounts_it_has_another_version) {
    struct position_record back = {0};
    struct position_record record = FULL;
    record.has_accounts = true;
    const struct position_text without_plan = position_record_format(&record);
    cr_assert_not_null(strstr(without_plan.text, "{\"version\":3,"));
    cr_assert(position_record_parse(slice_of(without_plan.text), &back));
    cr_assert(back.has_accounts && !back.has_plan);
    record.has_plan = true;
    const struct position_text with_plan = position_record_format(&record);
    cr_assert_not_null(strstr(with_plan.text, "{\"version\":4,"));
    cr_assert(position_record_parse(slice_of(with_plan.text), &back));
    cr_assert(back.has_accounts && back.has_plan);
}

Test(position_record, is_a_text_that_does_not_change) {
    const struct position_record record = {
        .claim = 0xab, .position = {.end_lsn = UINT64_C(0x16B374D848), .system_id = 7316, .timeline = 1}};
    cr_assert_str_eq(position_record_format(&record).text, GOOD);
}

Test(position_record, nothing_else_is_taken_for_one) {
    char text[POSITION_RECORD_MAX];
    cr_assert(parses(GOOD));
    for (size_t size = 0; size < strlen(GOOD); size++) {
        snprintf(text, sizeof text, "%.*s", (int) size, GOOD);
        cr_assert_not(parses(text), "%s", text);
    }
    snprintf(text, sizeof text, "%s ", GOOD);
    cr_assert_not(parses(text), "bytes behind it");
    for (size_t i = 0; i < strlen(GOOD); i++) {
        snprintf(text, sizeof text, "%s", GOOD);
        text[i] = '#';
        cr_assert_not(parses(text), "%s", text);
    }
}

Test(position_record, a_number_that_does_not_fit_is_refused) {
    cr_assert_not(
        parses("{\"version\":1,\"claim\":\"00000000000000ab\",\"end_lsn\":\"0/1\",\"commit_lsn\":\"0/0\","
               "\"index\":0,\"system_id\":\"7316\",\"timeline\":4294967297}"));
    cr_assert_not(
        parses("{\"version\":1,\"claim\":\"00000000000000ab\",\"end_lsn\":\"0/1\",\"commit_lsn\":\"0/0\","
               "\"index\":0,\"system_id\":\"99999999999999999999\",\"timeline\":1}"));
}
