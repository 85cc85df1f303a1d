/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.h - the thread that fills batches from a reader and hands them to the runners.
 *
 * It owns the pool of batches and makes every call of the reader between start and close. When no batch is
 * free it reads nothing, but still tends the reader, so that the server gets its answers whatever the sinks
 * do. The reader may confirm only what the supervisor allows (feed_confirm).
 *
 * FEED_READING -> FEED_DRAINING (reads no more, still confirms) -> FEED_ENDED; FEED_FAILED from each.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/engine/ledger.h"
#include "cdc/engine/runner.h"
#include "cdc/readers/batch.h"
#include "cdc/readers/reader.h"

enum feed_state { FEED_READING, FEED_DRAINING, FEED_ENDED, FEED_FAILED };

struct feed_options {
    struct runner *runners; /* already ordered to run */
    size_t runner_count;
    lsn_t start_lsn;
    lsn_t until_lsn; /* the pipeline's end, near which positions are handed on more often; 0: no end */
    const atomic_ullong *upstream_wanted_lsn; /* of struct pipeline_options; or NULL */
};

struct feed {
    pthread_t thread;
    bool started;
    struct reader *reader; /* not owned; the supervisor's until feed_start and after feed_join */
    struct feed_options options;
    struct pool pool;
    /* an eventfd: a wanted batch was released, a runner waits, there is more to confirm, or an order came */
    int wake_fd;
    /* an eventfd for the supervisor: the state changed, or the reader reached its end; not owned */
    int event_fd;
    atomic_ullong durable_lsn;
    atomic_ullong wanted_lsn;        /* a barrier waits until everything up to it was handed on; 0: none */
    _Atomic(enum feed_state) wanted; /* the supervisor's order */
    _Atomic(enum feed_state) state;
    struct error error; /* set before the state becomes FEED_FAILED */

    /* Used by the feed's thread only. */
    struct batch *batch;      /* being filled, or NULL when none was free */
    int64_t batch_since_ms;   /* when its first change arrived */
    uint64_t handed_on;       /* number of batches */
    int64_t debugged_ms;      /* when a batch was last logged */
    bool is_split;            /* the last batch that was handed on ends inside a transaction */
    bool end_told;            /* the supervisor was told that the reader reached its end */
    lsn_t caught_up_sent_lsn; /* the last idle position that was handed on */
    int64_t caught_up_sent_ms;
    struct ledger ledger; /* what was handed on; the supervisor's after feed_join */
};

/* Initialises pool and eventfd. The runners' queues write to its wake_fd. */
MUST_CHECK bool feed_init(struct feed *feed, int event_fd, struct error *err);

/* Starts the thread. reader has been started, and outlives the thread. */
MUST_CHECK bool feed_start(struct feed *feed, struct reader *reader, const struct feed_options *options,
                           struct error *err);

/* Everything up to lsn is durable in every sink and on disk: the reader may confirm it. Any thread. */
void feed_confirm(struct feed *feed, lsn_t lsn);

/* Positions of an idle source are handed on without delay up to this one. Any thread. */
void feed_want(struct feed *feed, lsn_t lsn);

/* Read no more. Any thread. */
void feed_drain(struct feed *feed);

/* Send the last confirmation and end. Any thread. */
void feed_end(struct feed *feed);

/* Waits for the thread's end. feed->error stays; its kind is ERROR_NONE when there was no error. */
void feed_join(struct feed *feed);

/* After the runners have ended: until then their queues may hold batches. */
void feed_release(struct feed *feed);
