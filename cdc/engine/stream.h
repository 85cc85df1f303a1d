/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - the thread that reads the slot: receive, decode, fill batches, hand them to the runners, confirm.
 *
 * It owns the replication connection. Whatever the sinks do, it answers the server in time: when every batch is in use
 * it stops reading but goes on with status updates. What it confirms as flushed is what the supervisor allows
 * (stream_confirm), never what it received.
 *
 * STREAM_READING -> STREAM_DRAINING (reads no more, still confirms) -> STREAM_ENDED; STREAM_FAILED from each.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/readers/batch.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/readers/slot/row_fetch.h"
#include "cdc/engine/runner.h"
#include "cdc/readers/slot/socket_fill.h"
#include "cdc/source/standby.h"
#include "cdc/source/wal_end.h"
#include "cdc/engine/watch.h"
#include "decoder/decoder.h"

enum stream_state { STREAM_READING, STREAM_DRAINING, STREAM_ENDED, STREAM_FAILED };

struct stream_options {
    const struct source_config *source;
    const PGresult *sent;    /* scope_read_announced at the start */
    struct watch *watch;     /* is told when a definition comes */
    struct standby *standby; /* of the stream thread from here on */
    uint32_t timeline;       /* of every position that is stored */
    lsn_t start_lsn;
    lsn_t flush_lsn;         /* where the source's WAL ended a moment ago */
    const atomic_bool *stop; /* for a question on another connection */
    bool binary;
    struct unsent_keys unsent_keys; /* for the decoder; lives as long as the stream */
    int sender_timeout_ms;          /* the server's wal_sender_timeout, 0: none */
    lsn_t
        until_lsn; /* reads no transaction that ends behind it, and tells the sinks at once how far it is; 0: none */
};

/* Written by the stream thread, read by any. */
struct stream_counters {
    atomic_ullong received_lsn; /* the last WAL position the server mentioned */
    atomic_ullong changes;
    atomic_ullong bytes; /* of messages */
    /*
     * Set once nothing more will come: what a sink's position reaches when it has all that ends at or before until_lsn. That is
     * until_lsn, or the end of the last transaction before one whose commit record lies across it; 0: not known yet.
     */
    atomic_ullong end_lsn;
};

struct stream {
    pthread_t thread;
    bool started;
    struct session *session; /* in COPY BOTH; the supervisor's until stream_start and after stream_join */
    struct stream_options options;
    struct runner *runners;
    size_t runner_count;
    struct pool pool;
    struct decoder *decoder;
    struct row_fetch fetch; /* of the stream thread */
    int wake_fd; /* an eventfd: a batch that was wanted came back, a runner waits, there is more to confirm, an order */
    int event_fd; /* an eventfd for the supervisor: the state changed; not owned */
    atomic_ullong confirmed_lsn;
    _Atomic(enum stream_state) wanted; /* the supervisor's order */
    _Atomic(enum stream_state) state;
    struct stream_counters counters;
    struct error error; /* set in STREAM_FAILED, before the state */

    /* The stream thread's own. */
    struct batch *batch; /* being filled, or NULL when none was free */
    uint64_t batches_handed_on;
    int64_t debugged_ms;      /* when one of them was logged */
    int64_t batch_since_ms;   /* when its first change came */
    lsn_t commit_lsn;         /* of the last transaction so far */
    size_t transaction_bytes; /* on the wire, of the last transaction so far */
    int64_t
        commit_age_us; /* of the last transaction, when its Begin came; by two clocks, so it may be negative */
    lsn_t idle_lsn;    /* of a keepalive not yet handed on, else 0 */
    lsn_t idle_sent_lsn; /* the last one handed on */
    int64_t idle_sent_ms;
    bool idle_urgent;         /* the server waits for it, to shut down perhaps */
    lsn_t confirmed_sent_lsn; /* in the last status update */
    int64_t status_sent_ms;
    bool status_due;        /* the server asked for one */
    lsn_t asked_lsn;        /* what the server asked to have confirmed, else 0 */
    int64_t asked_since_ms; /* when it began to */
    int64_t heard_ms;       /* when the server last said anything */
    bool asked;             /* ... and was asked to */
    bool is_readable;       /* the last poll said so */
    bool is_partial;        /* ... and what came since the last whole message makes none */
    size_t partial_bytes;   /* of it, since it last went on */
    struct socket_fill fill;
    lsn_t whole_lsn;    /* end of the last whole transaction, or where the stream began */
    struct wal_end wal; /* what may be believed */
    bool is_split;      /* the last batch that was handed on ends inside a transaction */
    bool is_leaving;    /* until_lsn is in front of the open transaction, whose Commit is still to say so */
    bool at_end;        /* until_lsn is reached: nothing more is read */
    bool publication_missing; /* the server said so in a notice */
};

/* Prepares: pool and eventfd. The runners' queues are given its wake_fd. */
MUST_CHECK bool stream_init(struct stream *stream, int event_fd, struct error *err);

/* START_REPLICATION on the session and starts the thread. runners have been ordered to run. */
MUST_CHECK bool stream_start(struct stream *stream, struct session *session,
                             const struct stream_options *options, struct runner *runners,
                             size_t runner_count, struct error *err);

/* Everything up to lsn is durable in every sink and on disk: tell the server. Any thread. */
void stream_confirm(struct stream *stream, lsn_t lsn);

/* Read no more. Any thread. */
void stream_drain(struct stream *stream);

/* Send the last confirmation and end. Any thread. */
void stream_end(struct stream *stream);

/* Waits for the thread. The error, kind ERROR_NONE when there was none, is kept. */
void stream_join(struct stream *stream);

/* After the runners have ended: their queues hold batches. Frees the relations of all changes, too. */
void stream_release(struct stream *stream);
