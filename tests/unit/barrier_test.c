/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier_test.c - where a runner holds.
 */
#include <criterion/criterion.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/engine/barrier.h"

static struct barrier barrier;

/* Three transactions of three changes; they commit at 100, 200, 300 and their xids are 10, 12, 11. */
static struct transaction transactions[] = {
    {.xid = 10, .commit_lsn = 100}, {.xid = 12, .commit_lsn = 200}, {.xid = 11, .commit_lsn = 300}};
static struct change changes[9];

static void set_up(void) {
    for (size_t i = 0; i < 9; i++)
        changes[i] = (struct change){.kind = i % 3 == 0   ? CHANGE_BEGIN
                                             : i % 3 == 1 ? CHANGE_INSERT
                                                          : CHANGE_COMMIT,
                                     .transaction = &transactions[i / 3]};
    barrier_init(&barrier, eventfd(0, EFD_CLOEXEC));
    cr_assert(applied_xids_init(&barrier.applied, 5));
}

static void tear_down(void) {
    close(barrier.event_fd);
    barrier_release(&barrier);
}

TestSuite(barrier, .init = set_up, .fini = tear_down);

static void advance(lsn_t lsn, const char *text) {
    struct xid_snapshot snapshot;
    cr_assert(xid_snapshot_parse(text, &snapshot));
    barrier_hold(&barrier);
    cr_assert(barrier_reach(&barrier, 50, false));
    cr_assert(barrier_advance(&barrier, lsn, &snapshot));
    xid_snapshot_release(&snapshot);
}

Test(barrier, holds_at_once_or_after_the_open_transaction) {
    cr_assert_eq(barrier_room(&barrier, changes, 9, false), 9, "nothing is wanted");
    barrier_hold(&barrier);
    cr_assert_eq(barrier_room(&barrier, changes, 9, false), 0);
    cr_assert_eq(barrier_room(&barrier, changes + 1, 8, true), 2);
    cr_assert_eq(barrier_room(&barrier, changes + 1, 1, true), 1, "the transaction does not end here");
}

Test(barrier, holds_before_the_first_transaction_that_is_not_seen) {
    advance(1000, "11:20:12");
    cr_assert_eq(barrier_room(&barrier, changes, 9, false), 3);
    cr_assert(barrier_reach(&barrier, 103, true));
    cr_assert_eq(barrier_look(&barrier).phase, BARRIER_REACHED);
    cr_assert_eq(barrier_look(&barrier).unseen, 0);
}

Test(barrier, holds_at_the_lsn) {
    advance(200, "20:20:");
    cr_assert_eq(barrier_room(&barrier, changes, 9, false), 3);
    cr_assert_not(barrier_reach(&barrier, 199, false));
    cr_assert(barrier_reach(&barrier, 200, false));
}

Test(barrier, tells_what_was_applied_too_early_and_what_came_too_late) {
    applied_xids_note(&barrier.applied, 10);
    applied_xids_note(&barrier.applied, 12);
    advance(1000, "11:20:12");
    cr_assert(barrier_reach(&barrier, 103, true));
    cr_assert_eq(barrier_look(&barrier).unseen, 1);
    cr_assert(barrier_pass(&barrier));
    cr_assert_eq(barrier_room(&barrier, changes + 3, 6, false), 6, "it holds no more");
    cr_assert_not(barrier_reach(&barrier, 303, false));
    cr_assert_eq(barrier_look(&barrier).phase, BARRIER_PASS);
    cr_assert_not(barrier_reach(&barrier, 1000, false));
    cr_assert_eq(barrier_look(&barrier).phase, BARRIER_PASSED);
    cr_assert_eq(barrier_look(&barrier).late, 1, "11 is seen and came after 12, which is not");
}

Test(barrier, only_what_comes_next_is_obeyed) {
    struct xid_snapshot snapshot = {0};
    cr_assert_not(barrier_pass(&barrier));
    cr_assert_not(barrier_advance(&barrier, 1, &snapshot));
    barrier_hold(&barrier);
    cr_assert_not(barrier_advance(&barrier, 1, &snapshot), "it does not hold yet");
    cr_assert(barrier_reach(&barrier, 50, false));
    cr_assert(barrier_wait(&barrier, 1));
    barrier_end(&barrier);
    cr_assert_not(barrier_wait(&barrier, 1));
    cr_assert_not(barrier_is_wanted(&barrier));
}

Test(barrier, that_nobody_ends_ends_by_itself) {
    barrier_hold(&barrier);
    cr_assert(barrier_reach(&barrier, 50, false));
    barrier.until_ms -= BARRIER_HELD_MAX_MS;
    cr_assert_not(barrier_wait(&barrier, 1));
    cr_assert_eq(barrier_look(&barrier).phase, BARRIER_NONE);
}
