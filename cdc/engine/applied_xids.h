/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applied_xids.h - the transactions that a sink got since its runner started, one bit for each xid.
 *
 * Covers the last APPLIED_XIDS_WINDOW xids. Nothing is known about older ones, nor about xids that were
 * assigned before the runner started: a transaction of such an xid may be in the sink already.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/xid_snapshot.h"

#define APPLIED_XIDS_WINDOW (UINT64_C(1) << 22)

struct applied_xids {
    uint64_t *words; /* owned; NULL: nothing is noted, so nothing is known */
    uint64_t from;   /* the first xid that is known about */
    uint64_t end;    /* after the largest xid that was noted, or from */
};

/* next_xid: no transaction in the sink has it or a later one. False: out of memory. */
MUST_CHECK bool applied_xids_init(struct applied_xids *applied, uint64_t next_xid);
void applied_xids_release(struct applied_xids *applied);

void applied_xids_note(struct applied_xids *applied, xid_t xid);

/*
 * Counts the transactions that the sink has and the snapshot does not see; *ret_unknown: transactions that
 * were open in the snapshot and about which nothing is known.
 */
uint64_t applied_xids_count_unseen(const struct applied_xids *applied, const struct xid_snapshot *snapshot,
                                   uint64_t *ret_unknown);
