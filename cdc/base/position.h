/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position.h - how far a sink is, and which changes it therefore has already.
 *
 * A position is the end of the last whole transaction. When a transaction had to be split, it is also the
 * number of that transaction's changes that the sink has. An LSN has a meaning only on one timeline of one
 * cluster, so both are part of the position.
 *
 * Out of an archive come also the rows of chunks, each at the end of the transaction before it, its place. A
 * position that ends with them has commit_lsn and index, too: see position_after_rows.
 *
 * Every comparison that decides whether something is sent again is in this file and nowhere else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"

struct position {
    lsn_t end_lsn;      /* end_lsn of the last whole transaction; 0: no position, the sink is empty */
    lsn_t commit_lsn;   /* of a transaction that was split, else 0 */
    uint64_t index;     /* how many changes of that transaction the sink has, else 0 */
    uint64_t system_id; /* of the source cluster */
    uint32_t timeline;  /* on which end_lsn was reached */
};

static inline bool position_exists(const struct position *position) {
    return position->end_lsn != 0;
}

/*
 * Begin carries final_lsn, where the commit record starts. The next transaction's commit record can start
 * exactly at the previous transaction's end_lsn. So the sink has a transaction when its commit record starts
 * strictly before.
 */
static inline bool position_has_begin(const struct position *position, lsn_t final_lsn) {
    return final_lsn < position->end_lsn;
}

static inline bool position_has_commit(const struct position *position, lsn_t end_lsn) {
    return end_lsn <= position->end_lsn;
}

/* A logical message outside any transaction. */
static inline bool position_has_message(const struct position *position, lsn_t lsn) {
    return lsn <= position->end_lsn;
}

/* index counts the changes of the transaction whose commit record is at commit_lsn, from 0. */
static inline bool position_has_change(const struct position *position, lsn_t commit_lsn, uint64_t index) {
    return position->commit_lsn == commit_lsn && index < position->index;
}

/* ---- the rows of chunks, out of an archive ---- */

/* Where an archive begins that has everything. No transaction ends there. */
#define POSITION_BEGINNING ((lsn_t) 1)

/*
 * A copy is not complete: rows of chunks follow. commit_lsn is that of the last chunk's rows, one byte before
 * their place, or POSITION_BEGINNING.
 */
static inline bool position_lacks_rows(const struct position *position) {
    return position->commit_lsn == POSITION_BEGINNING ||
           (position->commit_lsn != 0 && position->commit_lsn < position->end_lsn);
}

/* Does the sink have all rows of chunks at this place? Else it has those with a smaller index. */
static inline bool position_has_place(const struct position *position, lsn_t place_lsn) {
    return place_lsn < position->end_lsn ||
           (place_lsn == position->end_lsn && position->commit_lsn >= place_lsn);
}

/* With the rows at this place before index; 0: with all rows that the copy has. */
static inline struct position position_after_rows(const struct position *position, lsn_t place_lsn,
                                                  uint64_t index) {
    struct position after = *position;
    if (position->end_lsn == place_lsn && position->commit_lsn == place_lsn - 1 && index != 0 &&
        index < position->index)
        return after;
    after.end_lsn = place_lsn;
    after.commit_lsn = index != 0 ? place_lsn - 1 : place_lsn;
    after.index = index;
    return after;
}

/* At the end of a whole transaction, or where nothing was changed. */
static inline struct position position_after(const struct position *position, lsn_t end_lsn) {
    struct position after = *position;
    after.end_lsn = end_lsn;
    after.commit_lsn = position_lacks_rows(position) ? POSITION_BEGINNING : 0;
    after.index = 0;
    return after;
}
