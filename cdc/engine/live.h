/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - what an engine knows about itself, for other threads of its process.
 *
 * The supervisor writes it a few times a second, from the same counts that NAME.activity and the log come
 * from; a reader gets a copy. So no reader, however slow, touches a thread that carries changes. It belongs
 * to the caller of pipeline_run and outlives the pipeline. It contains no row's value, and no secret: an
 * error contains none.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/config/config.h"
#include "cdc/copy/copy_tables.h"
#include "cdc/copy/progress.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/latency.h"
#include "cdc/engine/table_counts.h"

enum { LIVE_KINDS_MAX = 16, LIVE_KIND_MAX = 8 };

enum live_phase {
    LIVE_STARTING,  /* an attempt opens source and sinks */
    LIVE_COPYING,   /* the initial copy runs, and the stream begins after it */
    LIVE_STREAMING, /* also while a copy in chunks goes on */
    LIVE_RETRYING,  /* the last attempt failed, and the next one has not reached the stream yet */
    LIVE_ENDED,
};

struct live_sink {
    lsn_t written_lsn, visible_lsn, durable_lsn;
    bool is_busy;     /* it works on a batch, or something that is visible is not durable yet */
    bool is_open;     /* the rest of a transaction, or of a group, has not arrived yet */
    bool is_copying;  /* in chunks */
    uint64_t moves;   /* rises whenever it has taken something; what it means is nothing to rely on */
    int64_t moved_ms; /* clock_now_ms() when moves was last seen to rise, or when it was last idle */
    uint64_t rows_copied;
    struct latency_view since_commit, since_write;
};

/* Attempts that failed, by the server's code, or "other". */
struct live_retries {
    char kind[LIVE_KIND_MAX];
    uint64_t count;
};

struct live_facts {
    bool exists; /* a pipeline has begun */
    enum live_phase phase;
    int64_t phase_ms;   /* clock_now_ms() when it began */
    int64_t turned_ms;  /* when the supervisor last looked at its threads */
    lsn_t received_lsn; /* the last position that the reader's peer named; 0: none */
    lsn_t saved_lsn;    /* on disk, of every sink: what the slot may be told */
    bool disk_fails;    /* the checkpoint cannot be written, so the slot keeps its WAL */
    struct error disk_error;
    struct activity activity;
    bool copy_runs;
    struct progress_total copy;
    struct failure failure;
    size_t retry_count;
    struct live_retries retries[LIVE_KINDS_MAX];
    size_t sink_count;
    struct live_sink sinks[CHECKPOINT_SINKS_MAX];
};

struct live {
    pthread_mutex_t lock; /* guards facts and copied */
    struct live_facts facts;
    struct copy_tables copied; /* by the copy in chunks that runs, or else by the last one */
    struct table_counts *tables; /* one for each sink */
};

/* False: no memory. live_release accepts what is zeroed. */
MUST_CHECK bool live_init(struct live *live, size_t sink_count, struct error *err);
void live_release(struct live *live);

/* One for each part of a pipeline, for pipeline_options.live. */
struct lives {
    struct live *items;
    size_t count;
};

/* False: no memory. lives_release accepts what is zeroed. */
MUST_CHECK bool lives_init(struct lives *lives, const struct config *config, struct error *err);
void lives_release(struct lives *lives);

/* Any thread. */
void live_read(struct live *live, struct live_facts *ret_facts);
void live_read_copied(struct live *live, struct copy_tables *ret_copied);

/* The supervisor turns ten times a second, unless a disk or a bug holds it. */
enum { LIVE_QUIET_MAX_MS = 60000 };

/* Has the supervisor looked at its threads? While nothing streams it has none. */
bool live_turns(const struct live_facts *facts, int64_t now_ms, int64_t quiet_max_ms);

const char *live_phase_name(enum live_phase phase);
