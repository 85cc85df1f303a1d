/* SPDX-License-Identifier: Apache-2.0 */
/*
 * reader.h - the contract of readers: where a pipeline's changes come from.
 *
 * A reader fills batches and keeps its peer content; the feed (engine/feed.h) owns the batches, decides when
 * one leaves, and waits. Readers may follow one another while the sinks stay open.
 *
 * The supervisor calls start and, after the feed and the runners have ended, close. Between them the feed's
 * thread makes every call, in turns: read as long as there are batches, then tend, then it waits for what
 * tend asked for.
 *
 * A reader delivers whole transactions in commit order: Begin, its changes, Commit. A batch may end inside
 * one. What it delivers points into the batch's arena, or to relations that live until close.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/readers/batch.h"

enum {
    BEHIND_US = 1000000, /* commits that are older than this when they come make a backlog */
};

struct reader;

/* What the feed knows when it tends its reader. */
struct reader_tending {
    lsn_t durable_lsn; /* every sink and the disk have what ends at or before it */
    int64_t now_ms;
    bool is_blocked; /* read is not called for now: no batch is free, or the pipeline stops */
    bool is_wanted;  /* a runner waits for the next change, whenever it comes */
};

/* What a reader waits for. */
struct reader_wait {
    int fd; /* -1: none */
    short events;
    int timeout_ms; /* tend is called again after it at the latest */
};

struct reader_ops {
    const char *name;
    /* Connects to where the changes are, and begins to ask for them. */
    bool (*start)(struct reader *reader, struct error *err);
    /*
     * Appends to batch, which is not full, until it is full or nothing more is there: *ret_drained. Never
     * waits for its peer. Whatever a batch holds when it fails is discarded.
     */
    bool (*read)(struct reader *reader, struct batch *batch, bool *ret_drained, struct error *err);
    /*
     * Optional. A batch that holds a position is about to leave: is what was delivered still on the history
     * that positions name? ERROR_RETRY when it is not.
     */
    bool (*check_history)(struct reader *reader, struct error *err);
    /* Confirms, answers, finds out whether its peer is still there. Never waits. */
    bool (*tend)(struct reader *reader, const struct reader_tending *tending, struct reader_wait *ret_wait,
                 struct error *err);
    /* The last confirmation, and a farewell. May wait, some seconds at most. */
    bool (*finish)(struct reader *reader, lsn_t durable_lsn, struct error *err);
    /* Frees all that changes point to. Also after a start that failed, or none. */
    void (*close)(struct reader *reader);
};

struct reader {
    const struct reader_ops *ops;

    /* Written by the feed's thread, read by any. */
    atomic_ullong received_lsn; /* the last position that the peer named */
    /*
     * Not 0 once nothing more will come: what a sink's position reaches when it has all that was asked for.
     * See until in the reader's own options.
     */
    atomic_ullong end_lsn;

    /* Of the feed's thread. The reader keeps them up to date in read and tend. */
    /* outside a transaction: all that ends at or before it was delivered; 0: not known */
    lsn_t caught_up_lsn;
    bool is_urgent;        /* the peer waits for caught_up_lsn to be durable; the feed takes it back */
    bool in_transaction;   /* its Commit was not delivered yet */
    bool is_flowing;       /* changes come one after the other */
    int64_t commit_age_us; /* of the last transaction when it came; by two clocks, so it may be negative */
    short revents;         /* of the last wait; the feed sets it */
};

static inline bool reader_has_ended(const struct reader *reader) {
    return atomic_load_explicit(&reader->end_lsn, memory_order_relaxed) != 0;
}

static inline bool reader_is_behind(const struct reader *reader) {
    return reader->commit_age_us > BEHIND_US;
}
