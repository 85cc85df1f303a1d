/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.h - checks, while the pipeline streams, that the publication still sends what source.tables lists.
 *
 * It also checks tables that were published since the start: their older rows are in no change.
 *
 * It samples the end of the source's WAL, against which the supervisor measures the sinks' lag.
 *
 * A table that is dropped and created again is no longer in a publication that lists tables, and the stream
 * does not report that. The watch is a thread of its own, with a connection only during a check. It checks at
 * intervals, and soon after the stream received a definition, which follows a change of the catalog.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdint.h>

#include "cdc/engine/runner.h"
#include "cdc/pq/session.h"
#include "cdc/source/scope.h"
#include "cdc/source/uncopied.h"

/* Where the source's WAL ended at a moment of the source's clock; number 0: not known yet. */
struct wal_sample {
    lsn_t end_lsn;
    int64_t time_us; /* since 1970 */
    unsigned int number;
};

enum watch_state { WATCH_LOOKING, WATCH_FAILED };

struct watch {
    pthread_t thread;
    bool started;
    const struct config *config;
    struct runner *runners; /* one per sink, for its position */
    size_t runner_count;
    bool found_newcomers;              /* in state WATCH_FAILED: tables without a copy are why */
    struct uncopied_moment *looked_at; /* outlives the attempt */
    bool looks_published;              /* a sink appends, and cannot be asked: see published.h */
    struct xid_snapshot looked;        /* for that: no table was new then; xmax 0: see NAME.published */
    const PGresult *sent;              /* scope_read_announced at the start of the stream */
    char *warned;    /* SCOPE_WARNING_MAX bytes: the last warning, so that it is logged once */
    char awaited[256]; /* standbys for which the server waited at the last check, or "" */
    bool looks_again;  /* it did not before */
    bool says_waits;   /* the log says that it waits for them */
    int event_fd;    /* an eventfd for the supervisor; not owned */
    int wake_fd;     /* an eventfd: check soon, or stop */
    atomic_bool stop;
    pthread_mutex_t lock; /* guards sample */
    struct wal_sample sample;
    _Atomic(enum watch_state) state;
    struct error error; /* set in WATCH_FAILED, before the state */
};

/*
 * Starts the thread. config, sent and warned outlive it; runners are joined after it has stopped. sample is
 * one from the start, or zeroed.
 */
MUST_CHECK bool watch_start(struct watch *watch, struct error *err);

/* Asks the source on the caller's session. */
MUST_CHECK bool wal_sample_read(struct session *source, struct wal_sample *sample, struct error *err);

/* The last sample. Any thread. */
struct wal_sample watch_sample(struct watch *watch);

/* A definition arrived. Any thread; also on a watch that was never started. */
void watch_poke(struct watch *watch);

/* Waits for the thread's end. Also after a failed start, or without a start. */
void watch_stop(struct watch *watch);
