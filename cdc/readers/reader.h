/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the contract of readers, from which a pipeline gets its changes.
 *
 * A reader fills batches and answers its peer. The feed (engine/feed.h) owns the batches, decides when one
 * leaves, and does all waiting. One reader may follow another while the sinks stay open.
 *
 * The supervisor calls start and, after the feed and the runners have ended, close. Between them the feed's
 * thread makes every call, in turns: it calls read while it has a batch, then tend, then it waits for the
 * events that tend asked for.
 *
 * A reader delivers whole transactions in commit order: Begin, its changes, Commit. A batch may end inside a
 * transaction. A change points into its batch's arena, or to relations that live until close.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/readers/batch.h"

enum {
    BEHIND_US = 1000000, /* a commit older than this on arrival belongs to a backlog */
};

struct reader;

/* What the feed tells its reader in each turn. */
struct reader_tending {
    lsn_t durable_lsn; /* everything that ends at or before it is durable in every sink and on disk */
    int64_t now_ms;
    bool is_blocked; /* read is not called in this turn: no batch is free, or the pipeline stops */
    bool is_wanted;  /* a runner waits for the next change */
};

/* The events that a reader waits for. */
struct reader_wait {
    int fd; /* -1: none */
    short events;
    int timeout_ms; /* tend is called again after this time at the latest */
};

struct reader_ops {
    const char *name;
    /* Connects to the peer and starts the stream of changes. */
    bool (*start)(struct reader *reader, struct error *err);
    /*
     * Appends to batch, which is not full, until it is full or the reader has nothing more: *ret_drained.
     * Never waits for its peer. After an error the batch is discarded.
     */
    bool (*read)(struct reader *reader, struct batch *batch, bool *ret_drained, struct error *err);
    /*
     * Optional. Called before a batch with a position leaves: was everything that was delivered on the
     * timeline that positions name? ERROR_RETRY when it was not.
     */
    bool (*check_history)(struct reader *reader, struct error *err);
    /* Sends confirmations and answers, and checks that the peer is alive. Never waits. */
    bool (*tend)(struct reader *reader, const struct reader_tending *tending, struct reader_wait *ret_wait,
                 struct error *err);
    /* Sends the last confirmation and closes the stream. May wait some seconds. */
    bool (*finish)(struct reader *reader, lsn_t durable_lsn, struct error *err);
    /* Releases everything that changes point to. Also called after a failed start, or without a start. */
    void (*close)(struct reader *reader);
};

struct reader {
    const struct reader_ops *ops;

    /* Written by the feed's thread, read by any. */
    atomic_ullong received_lsn; /* the last position that the peer named */
    /*
     * Not 0 once no more changes will come: the position of a sink that has everything that was asked for.
     * See until_lsn in the reader's own options.
     */
    atomic_ullong end_lsn;

    /* Used by the feed's thread only. The reader updates them in read and tend. */
    /* outside a transaction: everything that ends at or before it was delivered; 0: not known */
    lsn_t caught_up_lsn;
    bool is_urgent;      /* the peer waits until caught_up_lsn is durable; the feed resets it */
    bool in_transaction; /* the Commit of the open transaction was not delivered yet */
    bool is_flowing;     /* changes arrive one after the other */
    /* of the last transaction on arrival; measured with two clocks, so it may be negative */
    int64_t commit_age_us;
    short revents; /* result of the last wait; the feed sets it */
};

static inline bool reader_has_ended(const struct reader *reader) {
    return atomic_load_explicit(&reader->end_lsn, memory_order_relaxed) != 0;
}

static inline bool reader_is_behind(const struct reader *reader) {
    return reader->commit_age_us > BEHIND_US;
}
