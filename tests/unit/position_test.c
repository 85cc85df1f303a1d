/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_test.c - what is there already, at equality, where whole transactions are lost or repeated.
 *
 * WAL of the examples: A's commit record is at 100 and ends at 140, where B's begins, which ends at 180.
 */
#include <criterion/criterion.h>

#include "cdc/base/position.h"

enum { A_COMMIT = 100, A_END = 140, B_COMMIT = 140, B_END = 180 };

static const struct position NOWHERE = {0};
static const struct position AFTER_A = {.end_lsn = A_END, .system_id = 1, .timeline = 1};
/* All of A, and the first three changes of B. */
static const struct position IN_B = {
    .end_lsn = A_END, .commit_lsn = B_COMMIT, .index = 3, .system_id = 1, .timeline = 1};

Test(position, none_has_nothing) {
    cr_assert_not(position_exists(&NOWHERE));
    cr_assert_not(position_has_begin(&NOWHERE, A_COMMIT));
    cr_assert_not(position_has_commit(&NOWHERE, A_END));
    cr_assert_not(position_has_message(&NOWHERE, 1));
    cr_assert_not(position_has_change(&NOWHERE, A_COMMIT, 0));
}

Test(position, a_transaction_before_the_end_is_there) {
    cr_assert(position_exists(&AFTER_A));
    cr_assert(position_has_begin(&AFTER_A, A_COMMIT));
    cr_assert(position_has_begin(&AFTER_A, A_END - 1));
}

Test(position, a_transaction_that_begins_exactly_at_the_end_is_not_there) {
    cr_assert_not(position_has_begin(&AFTER_A, B_COMMIT), "skipping it would lose a whole transaction");
}

Test(position, a_commit_that_ends_exactly_at_the_end_is_there) {
    cr_assert(position_has_commit(&AFTER_A, A_END), "taking it again would repeat a whole transaction");
    cr_assert_not(position_has_commit(&AFTER_A, A_END + 1));
    cr_assert_not(position_has_commit(&AFTER_A, B_END));
}

Test(position, a_message_exactly_at_the_end_is_there) {
    cr_assert(position_has_message(&AFTER_A, A_END));
    cr_assert_not(position_has_message(&AFTER_A, A_END + 1));
}

Test(position, begin_and_commit_agree_on_every_transaction) {
    for (lsn_t end = 1; end < 50; end++) {
        struct position position = {.end_lsn = end};
        /* every transaction that ends by then began before, and no other one did */
        for (lsn_t commit = 1; commit < 50; commit++)
            cr_assert_eq(position_has_begin(&position, commit), position_has_commit(&position, commit + 1));
    }
}

Test(position, of_a_split_transaction_the_first_index_changes_are_there) {
    for (uint64_t index = 0; index < 3; index++)
        cr_assert(position_has_change(&IN_B, B_COMMIT, index));
    cr_assert_not(position_has_change(&IN_B, B_COMMIT, 3), "index counts what is there: 0, 1 and 2");
    cr_assert_not(position_has_begin(&IN_B, B_COMMIT), "a split transaction is not there as a whole");
    cr_assert_not(position_has_commit(&IN_B, B_END));
}

Test(position, no_change_of_another_transaction_is_there) {
    cr_assert_not(position_has_change(&IN_B, B_END, 0));
    cr_assert_not(position_has_change(&IN_B, B_COMMIT - 1, 0));
    cr_assert_not(position_has_change(&AFTER_A, A_COMMIT, 0));
}

/* ---- the rows of chunks ---- */

Test(position, rows_at_a_place_are_there_up_to_their_index) {
    const struct position three = position_after_rows(&AFTER_A, A_END, 3);
    cr_assert(position_has_change(&three, A_END - 1, 2));
    cr_assert_not(position_has_change(&three, A_END - 1, 3));
    cr_assert_not(position_has_place(&three, A_END), "more may follow at the same place");
    cr_assert(position_has_place(&three, A_END - 1));
    cr_assert_eq(position_after_rows(&three, A_END, 2).index, 3, "what is there stays");
    cr_assert_eq(position_after_rows(&three, A_END, 5).index, 5);
    cr_assert_not(position_has_begin(&three, B_COMMIT), "the transaction after them may begin there");
}

Test(position, a_transaction_after_rows_passes_their_place) {
    const struct position split = {.end_lsn = A_END, .commit_lsn = A_END, .index = 7};
    cr_assert(position_has_place(&split, A_END), "a part of it comes after all rows there");
}

Test(position, it_lacks_rows_until_all_are_there) {
    const struct position beginning = {.end_lsn = POSITION_BEGINNING, .commit_lsn = POSITION_BEGINNING};
    const struct position streamed = position_after(&beginning, A_END);
    const struct position rows = position_after_rows(&streamed, A_END, 3);
    const struct position later = position_after(&rows, B_END);
    const struct position whole = position_after_rows(&later, B_END, 0);
    cr_assert(position_lacks_rows(&beginning));
    cr_assert(position_lacks_rows(&streamed));
    cr_assert(position_lacks_rows(&rows));
    cr_assert(position_lacks_rows(&later));
    cr_assert_not(position_lacks_rows(&whole));
    cr_assert(position_has_place(&whole, B_END));
    const struct position after = position_after(&whole, B_END + 8);
    cr_assert_eq(after.commit_lsn, 0);
    cr_assert_not(position_lacks_rows(&AFTER_A));
    cr_assert_not(position_lacks_rows(&IN_B), "a split transaction is another thing");
}
