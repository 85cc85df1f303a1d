/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spool.h - transactions that the server streams while they are open, on disk until they commit.
 *
 * Each has a file without a name in the state directory, of frames as an archive has them (proto/frame.h).
 * A transaction that aborts is dropped, and so are the changes of a subtransaction that does; one that
 * commits is read back in its order. Memory is that of two frames, whatever the transactions. Nothing
 * survives the session: the server sends again what has not committed.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"
#include "proto/frame.h"

struct spool_transaction;

struct spool {
    const char *directory; /* not owned */
    struct frame_packer *packer;
    struct spool_transaction **transactions;
    size_t count;
    size_t capacity;
    /* Between Stream Start and Stream Stop. */
    struct spool_transaction *streamed; /* or NULL */
    struct buffer plain;                /* its messages that are not in its file yet */
    struct buffer file;
    /* The disk is full: a frame that is not written yet, and whose it is. Nothing may be added. */
    struct slice unwritten;
    struct spool_transaction *unwritten_of;
    /* While one is read back. */
    struct spool_transaction *replayed; /* or NULL */
    uint64_t offset;
    struct buffer frame;
    struct slice left; /* messages of that frame */
};

MUST_CHECK bool spool_init(struct spool *spool, const char *directory, struct error *err);

/* Accepts a zeroed spool, and removes all transactions. */
void spool_release(struct spool *spool);

/* A message of a transaction. xid: of the subtransaction, or the transaction's own. */
struct spool_message {
    lsn_t lsn;
    xid_t xid;
    struct slice bytes;
};

/* Messages that follow belong to the transaction. */
MUST_CHECK bool spool_start(struct spool *spool, xid_t xid, struct error *err);
/* A full disk is no error: see spool_is_full. */
MUST_CHECK bool spool_add(struct spool *spool, const struct spool_message *message, struct error *err);
MUST_CHECK bool spool_stop(struct spool *spool, struct error *err);

static inline bool spool_is_streaming(const struct spool *spool) {
    return spool->streamed != NULL;
}

/* The next call must be spool_retry. */
static inline bool spool_is_full(const struct spool *spool) {
    return spool->unwritten.size > 0;
}

/* Writes what was left when the disk was full; spool_is_full tells whether it still is. */
MUST_CHECK bool spool_retry(struct spool *spool, struct error *err);

/*
 * The subtransaction, or with subxid == xid the transaction, has rolled back. One that is unknown had no
 * change.
 */
MUST_CHECK bool spool_abort(struct spool *spool, xid_t xid, xid_t subxid, struct error *err);

/* The transaction has committed, and is read back from its beginning. One that is unknown has no messages. */
MUST_CHECK bool spool_replay(struct spool *spool, xid_t xid, struct error *err);

/*
 * The next message, valid until the next call; *ret_got is false at the end, and the transaction is
 * dropped.
 */
MUST_CHECK bool spool_next(struct spool *spool, struct spool_message *ret_message, bool *ret_got,
                           struct error *err);
