/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mark_test.c - a mark is found in whatever carries the row.
 */
#include "bench/lag/mark.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *find(const char *text, struct mark *ret_mark) {
    return mark_find(text, strlen(text), ret_mark);
}

Test(mark, what_is_written_is_found) {
    const struct mark written = {.number = 17, .due_us = INT64_C(123456789012345678)};
    char text[MARK_BYTES_MAX];
    mark_write(text, &written);
    struct mark found = {0};
    cr_assert_eq(find(text, &found), text + strlen(text));
    cr_assert_eq(found.number, written.number);
    cr_assert_eq(found.due_us, written.due_us);
}

Test(mark, the_longest_one_fits) {
    char text[MARK_BYTES_MAX];
    mark_write(text, &(struct mark){.number = INT64_MAX, .due_us = INT64_MAX});
    cr_assert_eq(text[strlen(text) - 1], ';');
}

Test(mark, bytes_around_it_do_not_matter) {
    struct mark found = {0};
    const char json[] = "{\"table\":\"lag\",\"mark\":\"lag:5:6;\"}";
    cr_assert_str_eq(find(json, &found), "\"}");
    cr_assert_eq(found.number, 5);
    const char bytes[] = "\0\1lag:x\0lag:7:8;\0";
    cr_assert_eq(mark_find(bytes, sizeof bytes, &found), bytes + sizeof bytes - 2);
    cr_assert_eq(found.number, 7);
}

Test(mark, the_first_of_several_is_found_and_then_the_next) {
    struct mark found = {0};
    const char *rest = find("lag:1:10;lag:2:20;", &found);
    cr_assert_eq(found.number, 1);
    cr_assert_not_null(find(rest, &found));
    cr_assert_eq(found.number, 2);
}

Test(mark, what_is_not_whole_is_none) {
    static const char *const PARTS[] = {"",          "la",
                                        "lag:",      "lag:1",
                                        "lag:1:",    "lag::;",
                                        "lag:1:2",   "lag:1;2;",
                                        "lag:-1:2;", "lag:99999999999999999999:1;"};
    struct mark found = {.number = -1};
    for (size_t i = 0; i < sizeof PARTS / sizeof *PARTS; i++)
        cr_assert_null(find(PARTS[i], &found), "%s", PARTS[i]);
    cr_assert_eq(found.number, -1);
}
