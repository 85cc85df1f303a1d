/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_end.h - which positions that the source names may be believed.
 *
 * A position that is stored or confirmed and that the source does not have, or has not sent yet, loses
 * changes without a word. One wrong bit on the way is enough. So nothing is believed that was said only once:
 *
 * - a transaction's end stands in its Commit message and in the header around it; where its commit begins, in
 *   Begin and in Commit;
 * - what a keepalive says counts once another keepalive has said as much: the server never goes back;
 * - transactions come in the order of their commits, none in front of what is known to be complete;
 * - a jump beyond what a server writes in the time is compared with what the server says on another
 *   connection.
 *
 * The stream's thread alone uses it.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct wal_end {
    lsn_t complete_lsn;  /* what ends at or before it was sent */
    lsn_t keepalive_lsn; /* what the last keepalive outside a transaction said */
    lsn_t known_lsn;     /* the server has so much WAL: it said so when asked, or it was near enough since */
};

/* flush_lsn: where the server's WAL ended a moment ago. */
void wal_end_init(struct wal_end *wal, lsn_t start_lsn, lsn_t flush_lsn);

/* False: ask the server how far it is, wal_end_know that, and ask again. Notes what it takes for true. */
bool wal_end_is_near(struct wal_end *wal, lsn_t lsn);
void wal_end_know(struct wal_end *wal, lsn_t flush_lsn);

/* Outside a transaction. Returns the position up to which everything was sent, or 0: nothing new. */
lsn_t wal_end_note_keepalive(struct wal_end *wal, lsn_t lsn);

/* The last keepalive named a position that waits for a second one. */
bool wal_end_wants_keepalive(const struct wal_end *wal);

/* A Begin message whose commit record stands at commit_lsn. */
MUST_CHECK bool wal_end_check_begin(const struct wal_end *wal, lsn_t commit_lsn, struct error *err);

/* A Commit message that ends at end_lsn, in a message at message_lsn. Notes it. */
MUST_CHECK bool wal_end_note_commit(struct wal_end *wal, lsn_t end_lsn, lsn_t message_lsn, struct error *err);
