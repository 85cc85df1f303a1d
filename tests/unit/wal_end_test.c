/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_end_test.c - one wrong bit in a position is never believed.
 */
#include "cdc/source/wal_end.h"
#include "cdc/source/wal_page.h"

#include <criterion/criterion.h>

static struct wal_end begun(void) {
    struct wal_end wal;
    wal_end_init(&wal, 1000, 5000);
    return wal;
}

Test(wal_end, a_keepalive_counts_once_another_has_said_as_much) {
    struct wal_end wal = begun();
    cr_assert_eq(wal_end_note_keepalive(&wal, 2000), 0);
    cr_assert(wal_end_wants_keepalive(&wal));
    cr_assert_eq(wal_end_note_keepalive(&wal, 2100), 2000);
    cr_assert_eq(wal_end_note_keepalive(&wal, 2100), 2100);
    cr_assert_not(wal_end_wants_keepalive(&wal));
    cr_assert_eq(wal_end_note_keepalive(&wal, 2100), 0, "nothing new");
}

Test(wal_end, no_bit_of_one_keepalive_moves_beyond_what_the_others_say) {
    for (int bit = 0; bit < 64; bit++)
        for (int which = 0; which < 4; which++) {
            struct wal_end wal = begun();
            lsn_t complete_lsn = 0;
            for (int i = 0; i < 4; i++) {
                lsn_t lsn = wal_end_note_keepalive(&wal, (2000 + (lsn_t) i * 10) ^
                                                             (i == which ? (lsn_t) 1 << bit : 0));
                complete_lsn = lsn > complete_lsn ? lsn : complete_lsn;
                cr_assert_leq(complete_lsn, 2000 + (lsn_t) i * 10, "bit %d of keepalive %d", bit, which);
            }
        }
}

Test(wal_end, no_bit_of_a_commit_is_taken) {
    for (int bit = 0; bit < 64; bit++) {
        struct wal_end wal = begun();
        struct error err = {0};
        cr_assert_not(wal_end_note_commit(&wal, (lsn_t) 2000 ^ (lsn_t) 1 << bit, 2000, &err));
        cr_assert_eq(err.kind, ERROR_PROTOCOL);
        cr_assert_eq(wal.complete_lsn, 1000, "nothing is noted");
        cr_assert(wal_end_note_commit(&wal, 2000, 2000, &err));
    }
}

Test(wal_end, no_transaction_comes_behind_what_is_complete) {
    struct wal_end wal = begun();
    struct error err = {0};
    cr_assert(wal_end_check_begin(&wal, 1000, &err), "a commit record may begin where the last one ended");
    cr_assert_not(wal_end_check_begin(&wal, 999, &err));
    cr_assert(wal_end_note_commit(&wal, 1100, 1100, &err));
    cr_assert_not(wal_end_note_commit(&wal, 1100, 1100, &err), "the same again");
    wal_end_note_keepalive(&wal, 1500);
    cr_assert_eq(wal_end_note_keepalive(&wal, 1500), 1500);
    cr_assert_not(wal_end_check_begin(&wal, 1499, &err), "a keepalive had said that all before was sent");
}

Test(wal_end, a_jump_is_asked_about) {
    struct wal_end wal = begun();
    cr_assert(wal_end_is_near(&wal, 5000 + ((lsn_t) 1 << 30)));
    cr_assert(wal_end_is_near(&wal, 6000 + ((lsn_t) 1 << 30)), "and from there on");
    cr_assert_not(wal_end_is_near(&wal, (lsn_t) 1 << 40));
    wal_end_know(&wal, (lsn_t) 1 << 40);
    cr_assert(wal_end_is_near(&wal, (lsn_t) 1 << 40));
}

Test(wal_end, a_position_after_a_header_is_the_end_of_the_record_before_it) {
    const uint64_t page = 8192, segment = 16u << 20;
    cr_assert_eq(wal_page_record_end(segment + 40, page, segment), segment);
    cr_assert_eq(wal_page_record_end(segment + 3 * page + 24, page, segment), segment + 3 * page);
    /* the tail of a record that began on the page before */
    cr_assert_eq(wal_page_record_end(segment + 3 * page + 32, page, segment), segment + 3 * page + 32);
    cr_assert_eq(wal_page_record_end(segment + 3 * page + 40, page, segment), segment + 3 * page + 40);
    cr_assert_eq(wal_page_record_end(segment + 3 * page + 4000, page, segment), segment + 3 * page + 4000);
}
