/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_end.h - which of the source's positions can be trusted.
 *
 * Storing or confirming a position that the source does not have, or has not sent yet, loses changes
 * silently. One flipped bit on the way is enough. So no position is trusted after a single mention:
 *
 * - the end of a transaction is in its Commit message and in the header around it; the LSN of its commit
 *   record is in Begin and in Commit;
 * - the position of a keepalive counts once another keepalive has reached it: the server never goes back;
 * - transactions arrive in commit order, none before the position known to be complete;
 * - a jump larger than a server writes in that time is checked on another connection.
 *
 * Only the stream's thread uses it.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct wal_end {
    lsn_t complete_lsn;  /* everything that ends at or before it was sent */
    lsn_t keepalive_lsn; /* the position of the last keepalive outside a transaction */
    lsn_t known_lsn;     /* the server has this much WAL: it answered so, or a message was near enough */
};

/* flush_lsn: the end of the server's WAL a moment ago. */
void wal_end_init(struct wal_end *wal, lsn_t start_lsn, lsn_t flush_lsn);

/* False: ask the server for its WAL's end, pass it to wal_end_know, and call again. Records lsn if true. */
bool wal_end_is_near(struct wal_end *wal, lsn_t lsn);
void wal_end_know(struct wal_end *wal, lsn_t flush_lsn);

/*
 * Outside a transaction. Returns the position up to which everything was sent, or 0 if that did not advance.
 */
lsn_t wal_end_note_keepalive(struct wal_end *wal, lsn_t lsn);

/* The last keepalive named a position that a second one must confirm. */
bool wal_end_wants_keepalive(const struct wal_end *wal);

/* A Begin message whose commit record begins at commit_lsn. */
MUST_CHECK bool wal_end_check_begin(const struct wal_end *wal, lsn_t commit_lsn, struct error *err);

/* A Commit message that ends at end_lsn, in a message whose header says message_lsn. Records it. */
MUST_CHECK bool wal_end_note_commit(struct wal_end *wal, lsn_t end_lsn, lsn_t message_lsn, struct error *err);
