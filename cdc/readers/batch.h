/* SPDX-License-Identifier: Apache-2.0 */
/*
 * batch.h - a run of changes in commit order, which readers hand to runners; and the pool of batches.
 *
 * FREE in the pool -> FILLING, owned by the feed's thread -> SEALED, shared read-only by the runners, each of
 * which holds a reference -> FREE when the last reference is released. Message bytes, values and transactions
 * are in the batch's arena. The number of batches times their size bounds the engine's memory, whatever the
 * size of a transaction; only a single change larger than a batch makes its batch larger.
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
    POOL_BATCHES = 6,          /* one filling, one being applied; the others bridge pauses on either side */
    BATCH_CHANGES_MAX = 16384, /* applying in sets gains little beyond ten thousand rows */
    BATCH_BYTES = 4 * 1024 * 1024, /* sealed when its arena holds this much */
};

enum { BATCH_SIGNALS_MAX = 16 }; /* more fill the batch */

enum batch_state { BATCH_FREE, BATCH_FILLING, BATCH_SEALED };

struct pool;

/* A transactional message of the source that is a request to the engine, and no change (engine/signals.h). */
struct batch_signal {
    lsn_t lsn;
    lsn_t commit_lsn; /* of its transaction, whose Begin is here or in an earlier batch; 0: it has none */
    struct slice text;
};

struct batch {
    enum batch_state state;
    struct pool *pool; /* NULL: outside of a pool */
    atomic_uint references;
    struct arena arena;
    struct change *changes; /* BATCH_CHANGES_MAX of them */
    size_t change_count;
    /* number of changes that belong to transactions which end in this batch: up to the last Commit */
    size_t whole_count;
    struct batch_signal signals[BATCH_SIGNALS_MAX];
    size_t signal_count;
    lsn_t caught_up_lsn; /* not 0: everything that ends at or before it was delivered; outside transactions */
};

struct pool {
    pthread_mutex_t lock; /* guards the next three */
    struct batch *free[POOL_BATCHES];
    size_t free_count;
    bool wanted; /* the feed found no free batch */
    int wake_fd; /* an eventfd, written to when a batch comes back while one is wanted; not owned */
    struct batch batches[POOL_BATCHES];
};

/* A batch outside of a pool, in state FILLING: for one thread that both reads and uses the changes. */
MUST_CHECK bool batch_init(struct batch *batch, struct error *err);
void batch_release(struct batch *batch);

/* Removes all changes, for the next ones. Only for a batch outside of a pool. */
void batch_empty(struct batch *batch);

/* wake_fd must outlive the pool. */
MUST_CHECK bool pool_init(struct pool *pool, int wake_fd, struct error *err);
/* Every batch must be free. Accepts a zeroed pool. */
void pool_release(struct pool *pool);

/*
 * An empty batch in state FILLING. NULL when all are in use; wake_fd then reports when one is free. Feed's
 * thread.
 */
struct batch *pool_take(struct pool *pool);

static inline bool batch_is_full(const struct batch *batch) {
    return batch->change_count == BATCH_CHANGES_MAX || batch->arena.used_bytes >= BATCH_BYTES ||
           batch->signal_count == BATCH_SIGNALS_MAX;
}

static inline bool batch_is_empty(const struct batch *batch) {
    return batch->change_count == 0 && batch->signal_count == 0 && batch->caught_up_lsn == 0;
}

/* Appends a copy of the change; the batch must not be full. Feed's thread. */
void batch_append(struct batch *batch, const struct change *change);

/* Appends a copy, whose text must be in the arena; the batch must not be full. Feed's thread. */
void batch_signal(struct batch *batch, const struct batch_signal *signal);

/* Removes the changes of an incomplete transaction. */
void batch_cut(struct batch *batch);

/* FILLING -> SEALED with this many references. Feed's thread. */
void batch_seal(struct batch *batch, unsigned references);

/*
 * Releases one reference. The last one empties the batch, returns it to the pool, and wakes the feed if it
 * wanted one. Any thread.
 */
void batch_unref(struct batch *batch);

/* FILLING -> FREE, for a batch that will not be sealed. Feed's thread. */
void batch_discard(struct batch *batch);
