/* SPDX-License-Identifier: Apache-2.0 */
/*
 * runner.h - the thread of one sink: opens it, copies into it when ordered, writes batches to it, commits
 * groups.
 *
 * OPENING -> OPENED -> (COPYING -> OPENED)* -> RUNNING -> STOPPED; FAILED from each. In STOPPED and FAILED
 * the sink is closed and the thread ends. The supervisor waits for OPENED, reads the position, and gives the
 * next order. The sink's close rolls back what was not committed.
 *
 * A barrier holds it between two transactions, while a comparison opens its transaction at the target. A
 * pause (pause.h) does so until an operator ends it.
 *
 * A copy in chunks goes on while it runs: the filter leaves out what the chunks contain, and a change waits
 * for a chunk that is being copied.
 *
 * Group commit without waiting: a group is committed when no batch is queued, or when the group is large.
 * When a batch ends inside a transaction, the whole transactions before it are committed first, so that a
 * transaction of many batches is a group of its own. A committed group may become durable later. The runner
 * asks the sink a few times a second how far it is durable, and uses a pause to wait for it. Only a durable
 * position is published.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "cdc/copy/awaited_columns.h"
#include "cdc/copy/chunk_asker.h"
#include "cdc/copy/chunk_edit.h"
#include "cdc/copy/chunk_filter.h"
#include "cdc/copy/copiers.h"
#include "cdc/copy/relay.h"
#include "cdc/copy/snapshot.h"
#include "cdc/copy/snapshot_rows.h"
#include "cdc/engine/barrier.h"
#include "cdc/engine/ledger.h"
#include "cdc/engine/metrics.h"
#include "cdc/engine/pause.h"
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

enum runner_order { ORDER_NONE, ORDER_COPY, ORDER_PLAN, ORDER_RUN, ORDER_QUIT };

/* Parameters of an order, set by the supervisor: ORDER_COPY and ORDER_PLAN. */
struct runner_copy {
    const struct config *config;
    const char *snapshot_name;
    bool text_only; /* a sink does not accept binary values, or the source has no binary form of a type */
    struct position position;
    struct snapshot_progress progress;
};

struct runner_run {
    struct position position; /* where it starts */
    const struct config *config;
    bool text_only; /* see struct runner_copy */
    bool store;     /* the sink has no position yet (a new pipeline without a copy): commit this one first */
    struct skip skip; /* a transaction to leave out */
    /* no transaction that the sink has now has this xid of the source or a later one; 0: not known */
    uint64_t next_xid;
};

struct runner {
    pthread_t thread;
    bool started;
    struct sink *sink;
    struct queue queue;
    atomic_bool stop; /* stop waiting; the sink reads it too */
    int event_fd;     /* an eventfd for the supervisor: state or position changed; not owned */

    pthread_mutex_t lock; /* guards state, order, copy, run, position, edits, error */
    pthread_cond_t ordered;
    enum runner_state state;
    enum runner_order order;
    struct runner_copy copy;
    struct runner_run run;
    struct position position; /* durable in the sink */
    struct chunk_edit *edits; /* of the plan, for the next time that it is read; NULL: none */
    struct error error;       /* set in state FAILED */

    struct sink_metrics *metrics; /* the pipeline's */
    struct pause *pause;          /* an operator's; NULL: it cannot be paused */
    /*
     * Chunks are still to be copied, or the stream has yet to pass what they have seen. Written by the
     * runner's thread, read by any.
     */
    atomic_bool is_copying;
    atomic_uint reload_number;   /* how often the supervisor asked to read the plan of a copy again */
    atomic_uint reloaded_number; /* the last of them that is done */
    struct barrier barrier;
    lsn_t copy_lsn; /* struct chunk_plan's read_lsn, once OPENED */

    /* Used by the runner's thread only, once it runs. */
    struct ledger ledger;
    bool is_done;                /* every batch that the queue got was taken */
    struct chunk_map *map;       /* of the copy that goes on, or NULL */
    struct chunk_filter *filter; /* not NULL while the copiers work */
    struct chunk_asker *asker;   /* likewise */
    struct copiers copiers;
    struct awaited_columns awaited; /* in use while copiers.awaited points to it */
    /* Of a sink whose chunks this thread writes. */
    struct relay relay;
    bool is_relayed;
    struct snapshot_rows *relayed_rows;
    struct buffer relayed_bytes;
    lsn_t row_lsn; /* see struct chunk_plan */
    uint64_t row_index;
    int64_t stream_us; /* how long the stream was served since the last chunk, and how long that chunk took */
    int64_t chunk_us;
    bool has_planned;          /* the plan was made by this handle: the stream has passed nothing since */
    struct position start;     /* the sink's position at the start: only changes up to it are skipped */
    struct position written;   /* end of the last whole transaction that was written */
    struct position committed; /* end of what is visible; ahead of position while it may not be durable yet */
    /* when a position last became durable, or when the first commit after that became visible */
    int64_t settled_ms;
    int64_t asked_ms; /* when the sink was last asked for its durable position */
    struct group_state {
        size_t changes;
        size_t left_out; /* of these, by the mapping */
        int64_t since_ms;
        int64_t commit_time_us;
        uint64_t transactions;
        bool open; /* something was written since the last commit */
    } group;
    struct group_log { /* since the last log line about groups */
        int64_t logged_ms;
        uint64_t groups, transactions, changes;
    } group_log;
    bool in_transaction;        /* the last change written was not a Commit */
    struct batch *failed_batch; /* its changes stay valid until the sink is closed; or NULL */
    bool gives_up;              /* stopped while a change waited for a chunk: it is sent again */
    bool skipping;              /* inside a transaction that the sink already has */
    lsn_t careful_until_lsn;
    bool careful; /* one transaction at a time, each durable before the next */
    struct skip skip;
    bool leaving_out;  /* inside the transaction that an operator skips */
    uint64_t left_out; /* changes of it so far, over all its batches */
};

/*
 * careful_until_lsn: apply one transaction at a time up to there, to find the one that fails; 0: never. sink
 * is closed; sink, metrics and pause stay the caller's.
 */
MUST_CHECK bool runner_start(struct runner *runner, struct sink *sink, struct sink_metrics *metrics,
                             struct pause *pause, int event_fd, int wake_fd, lsn_t careful_until_lsn,
                             struct error *err);

/* Any thread. */
enum runner_state runner_state(struct runner *runner);

/* An order was given that the runner has not started yet. */
bool runner_has_order(struct runner *runner);

/* From state OPENED. Supervisor. */
void runner_order_copy(struct runner *runner, const struct runner_copy *copy);
void runner_order_plan(struct runner *runner, const struct runner_copy *copy);
void runner_order_run(struct runner *runner, const struct runner_run *run);

/*
 * Asks a running runner to read the plan of a copy from its sink again, between two transactions.
 * runner_has_reloaded: it has done so since the last request. Supervisor.
 */
void runner_reload(struct runner *runner);
/* For a sink with one writer: the same, and before it stores an edit of the plan. Takes the edit. */
void runner_edit(struct runner *runner, struct chunk_edit *edit);
bool runner_has_reloaded(struct runner *runner);

/* Asks a running runner to hold between two transactions; then see barrier.h. Supervisor. */
void runner_hold(struct runner *runner);

/* The position that is durable in the sink; any thread. */
struct position runner_position(struct runner *runner);

/*
 * Ends the runner: at once when it is not running, otherwise after the queued batches, or sooner when now is
 * true.
 */
void runner_stop(struct runner *runner, bool now);

/*
 * Waits for the thread's end and releases everything but the ledger. runner->error stays; its kind is
 * ERROR_NONE when there was no error.
 */
void runner_join(struct runner *runner);
