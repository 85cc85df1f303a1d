/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streamed.h - transactions that arrive in pieces while they are open, and leave whole.
 *
 *     Stream Start xid, first     changes with the xid of their subtransaction     Stream Stop
 *     Stream Abort xid, subxid
 *     Stream Commit xid, flags, commit_lsn, end_lsn, time
 *
 * They wait in the spool. When one commits it is a Begin, its changes and a Commit, as if the server had
 * sent it then; so nothing behind this file knows that it was streamed. One thread.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/readers/slot/replication.h"
#include "cdc/readers/slot/spool.h"

enum streamed_state {
    STREAMED_NONE,    /* nothing is read back */
    STREAMED_BEGIN,   /* the Begin is next */
    STREAMED_CHANGES, /* changes, then the Commit */
};

struct streamed {
    struct spool spool;
    bool is_on;
    enum streamed_state state;
    /* Of the transaction that is read back. */
    xid_t xid;
    lsn_t lsn; /* of the Stream Commit */
    uint8_t flags;
    lsn_t commit_lsn;
    lsn_t end_lsn;
    uint64_t time;
    char made[32]; /* the bytes of a Begin or a Commit */
};

/* directory: of the spool; NULL: nothing is streamed. */
MUST_CHECK bool streamed_init(struct streamed *streamed, const char *directory, struct error *err);
void streamed_release(struct streamed *streamed);

/* A message of the server. *ret_taken: it belongs to a transaction that is open, or ends one. */
MUST_CHECK bool streamed_take(struct streamed *streamed, const struct replication_message *message,
                              bool *ret_taken, struct error *err);

/* Has one committed, so that streamed_next comes before the server's next message? */
static inline bool streamed_is_replaying(const struct streamed *streamed) {
    return streamed->state != STREAMED_NONE;
}

/* The next message of the transaction that has committed, valid until the next call. */
MUST_CHECK bool streamed_next(struct streamed *streamed, struct replication_message *ret_message,
                              struct error *err);
