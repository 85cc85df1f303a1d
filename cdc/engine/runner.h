/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - the thread of one sink: opens it, copies into it when told to, feeds it batches, commits groups.
 *
 * OPENING -> OPENED -> (COPYING -> OPENED)* -> RUNNING -> STOPPED; FAILED from each. After STOPPED and FAILED
 * the thread has ended and the sink is closed. The supervisor waits for OPENED, looks at the positions, and
 * gives the next order. What was not committed is undone by its close.
 *
 * Group commit, without waiting: a group is committed when nothing more is queued, or when it is large. A
 * batch that ends inside a transaction has its whole transactions committed first, so that a transaction of
 * many batches is a group of its own. What is committed may be durable only later: the sink is asked some
 * times a second how far it is, and a pause is used to wait for it. Only what is durable is ever published.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "cdc/copy/snapshot.h"
#include "cdc/engine/metrics.h"
#include "cdc/engine/queue.h"
#include "cdc/engine/skip.h"
#include "sinks/sink.h"

enum runner_state {
    RUNNER_OPENING,
    RUNNER_OPENED,
    RUNNER_COPYING,
    RUNNER_RUNNING,
    RUNNER_STOPPED,
    RUNNER_FAILED,
};

enum runner_order { ORDER_NONE, ORDER_COPY, ORDER_RUN, ORDER_QUIT };

/* What the supervisor tells the runner with an order. */
struct runner_copy {
    const struct config *config;
    const char *snapshot_name;
    bool text_only; /* a sink does not take binary values, or the source has none of a type */
    struct position position;
    struct snapshot_progress progress;
};

struct runner_run {
    struct position position; /* from where it starts */
    bool store;       /* the sink does not hold it yet (a new pipeline without a copy): it is flushed first */
    struct skip skip; /* what it leaves out */
};

struct runner {
    pthread_t thread;
    bool started;
    struct sink *sink;
    struct queue queue;
    atomic_bool stop; /* give up waiting; the sink's, too */
    int event_fd;     /* an eventfd for the supervisor: state or position changed; not owned */

    pthread_mutex_t lock; /* guards state, order, copy, run, position, error */
    pthread_cond_t ordered;
    enum runner_state state;
    enum runner_order order;
    struct runner_copy copy;
    struct runner_run run;
    struct position position; /* durable in the sink */
    struct error error;       /* set in state FAILED */

    struct sink_metrics *metrics; /* the pipeline's */

    /* The runner thread's own, from runner_run on. */
    struct position start;     /* what the sink had when it began: only that is skipped */
    struct position written;   /* up to where whole transactions were written */
    struct position committed; /* up to where it can be seen; ahead of position while it may not be durable */
    int64_t settled_ms;        /* when something became durable, or was first committed after all had */
    int64_t asked_ms;          /* when the sink was last asked how far it is durable */
    struct group_state {
        size_t changes;
        int64_t since_ms;
        int64_t commit_time_us;
        uint64_t transactions;
        bool open; /* something was written since the last flush */
    } group;
    struct group_log { /* since the last line about groups */
        int64_t logged_ms;
        uint64_t groups, transactions, changes;
    } group_log;
    bool in_transaction; /* the last thing written was not a commit */
    bool skipping;       /* inside a transaction that the sink has already */
    lsn_t careful_until_lsn;
    bool careful; /* one transaction at a time, each durable before the next */
    struct skip skip;
    bool leaving_out;  /* inside the transaction that an operator wants left out */
    uint64_t left_out; /* changes of it so far, in however many batches */
};

/*
 * careful_until_lsn: up to there one transaction at a time, to find the one that does not fit; 0: never.
 * sink is closed; it and metrics stay the caller's.
 */
MUST_CHECK bool runner_start(struct runner *runner, struct sink *sink, struct sink_metrics *metrics,
                             int event_fd, int wake_fd, lsn_t careful_until_lsn, struct error *err);

/* Any thread. */
enum runner_state runner_state(struct runner *runner);

/* An order was given and the runner has not yet taken it up. */
bool runner_has_order(struct runner *runner);

/* From state OPENED. Supervisor. */
void runner_order_copy(struct runner *runner, const struct runner_copy *copy);
void runner_order_run(struct runner *runner, const struct runner_run *run);

/* The state's position; any thread. */
struct position runner_position(struct runner *runner);

/* Ends it: at once when it is not running; otherwise after what is queued, or sooner when now is true. */
void runner_stop(struct runner *runner, bool now);

/*
 * Waits for the thread's end and releases everything. The error, kind ERROR_NONE when there was none, is
 * kept.
 */
void runner_join(struct runner *runner);
