/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applied_xids_test.c - which of a snapshot's unseen transactions the sink has, against a naive list.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "cdc/engine/applied_xids.h"

#define FIRST ((UINT64_C(5) << 32) - 1000) /* the xids of the stream wrap */

static uint64_t count(const struct applied_xids *applied, uint64_t xmin, uint64_t xmax, const char *open,
                      uint64_t *ret_unknown) {
    char text[256];
    struct xid_snapshot snapshot;
    snprintf(text, sizeof text, "%llu:%llu:%s", (unsigned long long) xmin, (unsigned long long) xmax, open);
    cr_assert(xid_snapshot_parse(text, &snapshot), "%s", text);
    const uint64_t unseen = applied_xids_count_unseen(applied, &snapshot, ret_unknown);
    xid_snapshot_release(&snapshot);
    return unseen;
}

Test(applied_xids, what_the_snapshot_does_not_see_is_counted) {
    struct applied_xids applied;
    char open[64];
    uint64_t unknown = 0;
    cr_assert(applied_xids_init(&applied, FIRST));
    for (uint64_t xid = FIRST; xid < FIRST + 2000; xid += 2)
        applied_xids_note(&applied, (xid_t) xid);
    snprintf(open, sizeof open, "%llu,%llu", (unsigned long long) FIRST + 10,
             (unsigned long long) FIRST + 11);
    cr_assert_eq(count(&applied, FIRST + 10, FIRST + 1990, open, &unknown), 6); /* 10; 1990 to 1998 */
    cr_assert_eq(unknown, 0);
    cr_assert_eq(count(&applied, FIRST + 5000, FIRST + 5000, "", &unknown), 0);
    applied_xids_release(&applied);
}

Test(applied_xids, what_was_open_before_the_start_is_unknown) {
    struct applied_xids applied;
    uint64_t unknown = 0;
    cr_assert(applied_xids_init(&applied, 1000));
    applied_xids_note(&applied, 999);
    cr_assert_eq(count(&applied, 998, 1000, "998,999", &unknown), 0);
    cr_assert_eq(unknown, 2);
    applied_xids_note(&applied, 1001);
    cr_assert_gt(count(&applied, 900, 900, "", &unknown), 0, "the snapshot is older than the runner");
    applied_xids_release(&applied);
}

Test(applied_xids, without_a_start_everything_is_unknown) {
    struct applied_xids applied = {0};
    uint64_t unknown = 0;
    applied_xids_note(&applied, 7);
    count(&applied, 900, 900, "", &unknown);
    cr_assert_gt(unknown, 0);
}

Test(applied_xids, what_leaves_the_window_is_unknown_and_its_bits_are_not_taken_for_new_xids) {
    struct applied_xids applied;
    uint64_t unknown = 0;
    const uint64_t later = 1000 + APPLIED_XIDS_WINDOW + 10;
    cr_assert(applied_xids_init(&applied, 1000));
    for (xid_t xid = 1000; xid < 1100; xid++)
        applied_xids_note(&applied, xid);
    applied_xids_note(&applied, (xid_t) later);
    cr_assert_eq(count(&applied, 1005, later + 1, "1005", &unknown), 0);
    cr_assert_eq(unknown, 1);
    cr_assert_eq(count(&applied, later - 5, later - 5, "", &unknown), 1, "only the last one");
    cr_assert_eq(count(&applied, 1050, later + 1, "1050", &unknown), 1, "still in the window");
    cr_assert_eq(unknown, 0);
    applied_xids_note(&applied, (xid_t) (later + 2 * APPLIED_XIDS_WINDOW));
    cr_assert_eq(
        count(&applied, later + APPLIED_XIDS_WINDOW + 5, later + APPLIED_XIDS_WINDOW + 5, "", &unknown), 1);
    applied_xids_release(&applied);
}
