/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position.h - how far a sink is, and which changes it therefore has already.
 *
 * A position is the end of the last whole transaction. When a transaction had to be split, it is also the
 * number of that transaction's changes that the sink has. An LSN has a meaning only on one timeline of one
 * cluster, so both are part of the position.
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
