/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xid_snapshot_test.c - the text, and which transactions are seen.
 */
#include <criterion/criterion.h>

#include "cdc/base/xid_snapshot.h"

static struct xid_snapshot parse(const char *text) {
    struct xid_snapshot snapshot;
    cr_assert(xid_snapshot_parse(text, &snapshot), "%s", text);
    return snapshot;
}

static bool covers(const char *text, const char *earlier) {
    struct xid_snapshot a = parse(text), b = parse(earlier);
    bool answer = xid_snapshot_covers(&a, &b);
    xid_snapshot_release(&a);
    xid_snapshot_release(&b);
    return answer;
}

Test(xid_snapshot, what_had_ended_is_seen) {
    struct xid_snapshot snapshot = parse("10:20:10,14,19");
    static const uint64_t UNSEEN[] = {10, 14, 19, 20, 21, 1000};
    static const uint64_t SEEN[] = {1, 9, 11, 13, 15, 18};
    for (size_t i = 0; i < sizeof UNSEEN / sizeof *UNSEEN; i++) {
        cr_assert_not(xid_snapshot_sees(&snapshot, UNSEEN[i]));
        cr_assert(xid_snapshot_sees(&snapshot, SEEN[i]));
    }
    xid_snapshot_release(&snapshot);
}

Test(xid_snapshot, without_open_transactions_everything_below_xmax_is_seen) {
    struct xid_snapshot snapshot = parse("7:7:");
    cr_assert(xid_snapshot_sees(&snapshot, 6));
    cr_assert_not(xid_snapshot_sees(&snapshot, 7));
    xid_snapshot_release(&snapshot);
}

Test(xid_snapshot, what_is_not_a_snapshot_is_refused) {
    static const char *const BAD[] = {"",        ":",      "1",          "1:",
                                      "1:2",     "2:0:",   "1:2:3",      "1:5:2,2",
                                      "1:5:3,2", "1:5:2,", "1:5:,2",     "1:5:2;3",
                                      "0:5:",    "-1:5:",  "1:5: 2",     "1:5:5",
                                      "2:5:1",   "x:5:",   "1:x:",       "1:5:x",
                                      "1:5:2:3", "1 :5:",  "1:5:2,3,4,", "1:99999999999999999999999:"};
    for (size_t i = 0; i < sizeof BAD / sizeof *BAD; i++) {
        struct xid_snapshot snapshot;
        cr_assert_not(xid_snapshot_parse(BAD[i], &snapshot), "\"%s\"", BAD[i]);
        cr_assert_null(snapshot.open);
    }
}

/* A server exported it for a new slot: no transaction was open, and the last ones had aborted. */
Test(xid_snapshot, a_larger_xmin_is_the_xmax_too) {
    struct xid_snapshot snapshot = parse("784:782:");
    cr_assert(xid_snapshot_sees(&snapshot, 783));
    cr_assert_not(xid_snapshot_sees(&snapshot, 784));
    xid_snapshot_release(&snapshot);
    cr_assert_not(covers("783:783:", "784:782:"));
}

Test(xid_snapshot, a_later_snapshot_covers_an_earlier_one_and_not_the_other_way) {
    cr_assert(covers("10:20:12", "10:20:12"));
    cr_assert(covers("12:25:12,22", "10:20:12"));
    cr_assert(covers("30:30:", "10:20:12"));
    cr_assert_not(covers("10:20:12", "12:25:12"));
    /* an ordinary snapshot taken after the slot's, which does not see a commit that waits for a standby */
    cr_assert_not(covers("3937:3937:", "3937:3938:"));
    cr_assert_not(covers("3937:3940:3937", "3937:3938:"));
    cr_assert(covers("3938:3938:", "3937:3938:"));
    cr_assert_not(covers("5:40:5", "10:20:12"));
}

Test(xid_snapshot, an_xid_of_the_stream_is_the_nearest_one) {
    const uint64_t epoch = UINT64_C(5) << 32;
    cr_assert_eq(xid_widen(100, 90), 100);
    cr_assert_eq(xid_widen(90, 100), 90);
    cr_assert_eq(xid_widen(3, epoch - 5), epoch + 3);
    cr_assert_eq(xid_widen(UINT32_MAX, epoch + 5), epoch - 1);
    cr_assert_eq(xid_widen(7, epoch + 9), epoch + 7);
}
