/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.h - the thread that turns what a reader reads into batches and hands them to the runners.
 *
 * It owns the pool of batches and makes every call of the reader. When every batch is in use nothing is read,
 * and the reader is tended as ever, so that its server stays content whatever the sinks do. What the reader
 * may confirm is what the supervisor allows (feed_confirm).
 *
 * FEED_READING -> FEED_DRAINING (reads no more, still confirms) -> FEED_ENDED; FEED_FAILED from each.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/engine/runner.h"
#include "cdc/readers/batch.h"
#include "cdc/readers/reader.h"

enum feed_state { FEED_READING, FEED_DRAINING, FEED_ENDED, FEED_FAILED };

struct feed_options {
    struct runner *runners; /* they have been ordered to run */
    size_t runner_count;
    lsn_t start_lsn;
    lsn_t until_lsn; /* where the pipeline ends, so that the sinks learn at once how far it is; 0: nowhere */
};

struct feed {
    pthread_t thread;
    bool started;
    struct reader *reader; /* not owned; the supervisor's until feed_start and after feed_join */
    struct feed_options options;
    struct pool pool;
    /* an eventfd: a batch that was wanted came back, a runner waits, there is more to confirm, an order */
    int wake_fd;
    /* an eventfd for the supervisor: the state changed, or the reader came to its end; not owned */
    int event_fd;
    atomic_ullong durable_lsn;
    _Atomic(enum feed_state) wanted; /* the supervisor's order */
    _Atomic(enum feed_state) state;
    struct error error; /* set in FEED_FAILED, before the state */

    /* The feed thread's own. */
    struct batch *batch;      /* being filled, or NULL when none was free */
    int64_t batch_since_ms;   /* when its first change came */
    uint64_t handed_on;       /* batches */
    int64_t debugged_ms;      /* when one of them was logged */
    bool is_split;            /* the last batch that was handed on ends inside a transaction */
    bool end_told;            /* the supervisor knows that the reader came to its end */
    lsn_t caught_up_sent_lsn; /* the last idle position that was handed on */
    int64_t caught_up_sent_ms;
};

/* Prepares: pool and eventfd. The runners' queues are given its wake_fd. */
MUST_CHECK bool feed_init(struct feed *feed, int event_fd, struct error *err);

/* Starts the thread. reader was started, and outlives it. */
MUST_CHECK bool feed_start(struct feed *feed, struct reader *reader, const struct feed_options *options,
                           struct error *err);

/* Everything up to lsn is durable in every sink and on disk: the reader may confirm it. Any thread. */
void feed_confirm(struct feed *feed, lsn_t lsn);

/* Read no more. Any thread. */
void feed_drain(struct feed *feed);

/* Send the last confirmation and end. Any thread. */
void feed_end(struct feed *feed);

/* Waits for the thread. The error, kind ERROR_NONE when there was none, is kept. */
void feed_join(struct feed *feed);

/* After the runners have ended: their queues hold batches. */
void feed_release(struct feed *feed);
