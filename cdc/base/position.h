/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position.h - how far a sink is, and what it therefore has already.
 *
 * A position is the end of the last whole transaction and, when a transaction had to be split, how many of
 * its changes are there. An LSN means something only on one timeline of one cluster, so both are part of it.
 *
 * Every comparison that decides whether something is sent again stands in this file and nowhere else.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/lsn.h"

struct position {
    lsn_t end_lsn;      /* end_lsn of the last whole transaction; 0: no position, nothing is there */
    lsn_t commit_lsn;   /* of the transaction that was split, else 0 */
    uint64_t index;     /* how many changes of that one are there, else 0 */
    uint64_t system_id; /* of the source cluster */
    uint32_t timeline;  /* on which end_lsn was reached */
};

static inline bool position_exists(const struct position *position) {
    return position->end_lsn != 0;
}

/*
 * Begin carries final_lsn, where the commit record starts; the next transaction can begin exactly at the
 * previous one's end_lsn. So a transaction is there when its commit record starts strictly before.
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

/* index counts the changes of the transaction that commits at commit_lsn from 0. */
static inline bool position_has_change(const struct position *position, lsn_t commit_lsn, uint64_t index) {
    return position->commit_lsn == commit_lsn && index < position->index;
}
