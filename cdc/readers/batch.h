/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - a run of changes in commit order, the unit that travels from a reader to the runners; and their
 * pool.
 *
 * FREE in the pool -> FILLING, owned by the feed's thread -> SEALED, shared read-only by the runners, each of
 * which holds a reference -> FREE with the last one. Message bytes, values and transactions live in the
 * batch's arena. The pool's size times the batch's size bounds the engine's memory, whatever a transaction's
 * size; only a single change larger than a batch makes its batch larger.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "decoder/change.h"

enum {
    POOL_BATCHES = 6,              /* one filling, one applied, the rest bridges the pauses of either side */
    BATCH_CHANGES_MAX = 16384,     /* set-based apply gains little beyond ten thousand rows */
    BATCH_BYTES = 4 * 1024 * 1024, /* sealed when its arena holds this much */
};

enum batch_state { BATCH_FREE, BATCH_FILLING, BATCH_SEALED };

struct pool;

struct batch {
    enum batch_state state;
    struct pool *pool; /* or NULL */
    atomic_uint references;
    struct arena arena;
    struct change *changes; /* BATCH_CHANGES_MAX of them */
    size_t change_count;
    /* how many of them belong to transactions that end in this batch: up to the last commit */
    size_t whole_count;
    lsn_t caught_up_lsn; /* not 0: outside transactions, the source has nothing before it that was not sent */
};

struct pool {
    pthread_mutex_t lock; /* guards the next three */
    struct batch *free[POOL_BATCHES];
    size_t free_count;
    bool wanted; /* somebody found none */
    int wake_fd; /* an eventfd that is written to when one that was wanted comes back; not owned */
    struct batch batches[POOL_BATCHES];
};

/* A batch outside of a pool, in state FILLING: for one thread that reads and uses the changes itself. */
MUST_CHECK bool batch_init(struct batch *batch, struct error *err);
void batch_release(struct batch *batch);

/* Takes everything out, for the next changes. Of a batch outside of a pool. */
void batch_empty(struct batch *batch);

/* wake_fd must outlive the pool. */
MUST_CHECK bool pool_init(struct pool *pool, int wake_fd, struct error *err);
/* Every batch must be back. Accepts a zeroed pool. */
void pool_release(struct pool *pool);

/*
 * An empty batch in state FILLING, or NULL when all are in use: wake_fd then tells when one is back. Feed's
 * thread.
 */
struct batch *pool_take(struct pool *pool);

static inline bool batch_is_full(const struct batch *batch) {
    return batch->change_count == BATCH_CHANGES_MAX || batch->arena.used_bytes >= BATCH_BYTES;
}

static inline bool batch_is_empty(const struct batch *batch) {
    return batch->change_count == 0 && batch->caught_up_lsn == 0;
}

/* Appends a copy of the change; the batch must not be full. Feed's thread. */
void batch_append(struct batch *batch, const struct change *change);

/* Takes out the changes of a transaction that has not ended. */
void batch_cut(struct batch *batch);

/* FILLING -> SEALED with so many references. Feed's thread. */
void batch_seal(struct batch *batch, unsigned references);

/*
 * Gives one reference back; the last one empties the batch, and wakes the feed if it wanted one. Any thread.
 */
void batch_unref(struct batch *batch);

/* FILLING -> FREE, for a batch that is not going to be sealed. Feed's thread. */
void batch_discard(struct batch *batch);
