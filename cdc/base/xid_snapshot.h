/* SPDX-License-Identifier: Apache-2.0 */
/*
 * xid_snapshot.h - which transactions a snapshot of PostgreSQL sees, by their xids.
 *
 * The text is that of pg_current_snapshot(): "xmin:xmax:xid,xid,...". All xids here have 64 bits, so they do
 * not wrap. A transaction that a snapshot sees is seen by each later snapshot of the same server. LSNs cannot
 * decide this: a commit that waits for a synchronous standby is in the WAL, and no snapshot sees it yet.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/attributes.h"
#include "cdc/base/lsn.h"

struct xid_snapshot {
    uint64_t xmin;  /* all xids below have ended */
    uint64_t xmax;  /* this xid and all above had not begun */
    uint64_t *open; /* in between, those that had not ended; ascending; owned */
    size_t open_count;
};

/* False: not a snapshot's text, or no memory. *ret_snapshot is then empty. */
MUST_CHECK bool xid_snapshot_parse(const char *text, struct xid_snapshot *ret_snapshot);

MUST_CHECK bool xid_snapshot_copy(const struct xid_snapshot *snapshot, struct xid_snapshot *ret_copy);

/* Accepts a zeroed snapshot. */
void xid_snapshot_release(struct xid_snapshot *snapshot);

/* Had the transaction ended? If it committed, the snapshot's rows include its changes. */
bool xid_snapshot_sees(const struct xid_snapshot *snapshot, uint64_t xid);

/* Does the snapshot see each transaction that the earlier one sees? */
bool xid_snapshot_covers(const struct xid_snapshot *snapshot, const struct xid_snapshot *earlier);

/* The xid of the stream, which has 32 bits, as the nearest one to a known xid. */
uint64_t xid_widen(xid_t xid, uint64_t near);
