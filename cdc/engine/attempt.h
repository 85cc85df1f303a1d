/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.h - one life of a pipeline: open everything, check, start, supervise, stop everything.
 *
 * All of it on the supervisor's thread, which also writes the checkpoint, so that neither a slow disk nor a
 * slow sink keeps the stream from answering the server.
 *
 * Order of a confirmation: a sink's flush -> its position -> checkpoint on disk -> slot. So slot <= disk <=
 * sink.
 */
#pragma once

#include "cdc/copy/progress.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/conflict_log.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/feed.h"
#include "cdc/engine/pipeline.h"
#include "cdc/engine/runner.h"
#include "cdc/engine/start.h"
#include "cdc/engine/watch.h"
#include "cdc/readers/slot/slot_reader.h"
#include "cdc/source/generated_columns.h"
#include "cdc/source/scope.h"
#include "cdc/source/source.h"
#include "cdc/source/standby.h"

/* The last retry that was logged. */
struct retry_log {
    char text[ERROR_TEXT_MAX];
    int64_t logged_ms;
    int count; /* of the same, with those that were not logged */
};

/* What the activity file is made from, besides the metrics: the window that rates are taken over. */
struct activity_state {
    struct activity written;
    int64_t written_ms;
    int64_t window_ms; /* when it began */
    struct activity_counts {
        uint64_t transactions_at; /* at the window's begin */
        uint64_t changes_at;
        int64_t caught_up_us;
        uint64_t stops[CONFLICT_KINDS]; /* of all processes */
    } counts[CHECKPOINT_SINKS_MAX];
};

/* What outlives an attempt. */
struct pipeline {
    const struct config *config;
    const struct pipeline_options *options;
    struct checkpoint checkpoint;
    struct sink_metrics metrics[CHECKPOINT_SINKS_MAX];
    struct sink *sinks[CHECKPOINT_SINKS_MAX];
    struct sink_config sink_configs[CHECKPOINT_SINKS_MAX]; /* the configuration's, with the database's name */
    char database[DATABASE_NAME_MAX];                      /* the source's, once it was reached */
    lsn_t careful_until_lsn[CHECKPOINT_SINKS_MAX];         /* see struct runner */
    lsn_t until_lsn;                                       /* 0: none, or not known yet */
    bool needs_text; /* a sink does not take binary values, or the source cannot send some */
    oid_t *gone; /* tables that neither source nor target has any more; the sinks leave their changes out */
    size_t gone_count;
    struct generated_columns generated;   /* what the source generates, once it was asked */
    char scope_warned[SCOPE_WARNING_MAX]; /* what was said last of tables that are not sent */
    bool progressed;                      /* the last attempt flushed something */
    int protocol_errors;                  /* attempts in a row that ended in one, without progress */
    /* the last attempt failed in a group: the next finds the transaction, and has the error */
    bool looks_for_cause;
    struct retry_log retry_log;
    struct conflict_log conflict_log;
    struct failure failure;           /* as it is on disk */
    struct uncopied_moment looked_at; /* publications up to there have no table that lacks old rows */
    bool streamed;                    /* an attempt of this process read the slot */
    bool has_own_slot;  /* an attempt of this process created the slot, and no sink has a position yet */
    lsn_t own_slot_lsn; /* where that slot began */
    int64_t waiting_since_ms; /* for an engine that uses the slot; 0: none does */
    struct activity_state activity;
    struct pipeline_result result; /* counts so far, and whether the end was reached */
};

struct attempt {
    struct pipeline *pipeline;
    struct session source;
    struct session replication;
    struct source_identity identity;
    struct standby standby; /* watched when the source is one */
    int sender_timeout_ms;
    int event_fd; /* runners and feed write to it */
    struct feed feed;
    struct slot_reader reader;
    PGresult *sent; /* scope_read_announced at the start of the stream */
    struct watch watch;
    struct arena keys_arena; /* of unsent_keys, for the reader */
    struct unsent_keys unsent_keys;
    struct runner *runners; /* one a sink */
    size_t runner_count;
    struct position *positions; /* one a sink, from where it starts */
    bool store_positions;       /* the sinks do not hold them yet */
    struct progress progress;   /* of the initial copy, for people */
    bool disk_fails;            /* the checkpoint could not be written; tried again */
    int64_t disk_tried_ms;
    int64_t reported_ms;
    unsigned int reported_sample; /* the number of the last one in a report */
    struct wal_sample seen;       /* the first one behind that, and when it was seen */
    int64_t seen_ms;
    uint64_t reported_transactions[CHECKPOINT_SINKS_MAX];
    uint64_t reported_changes[CHECKPOINT_SINKS_MAX];
};

/* True: stopped in peace, or the end was reached. */
MUST_CHECK bool attempt_run(struct pipeline *pipeline, struct error *err);

/*
 * attempt_new.c: brings a pipeline into being: publication, slot, copy; or adopts a slot. Sets the positions.
 * again: a slot of that name is what an interrupted copy left, and is dropped first.
 */
MUST_CHECK bool attempt_create(struct attempt *attempt, bool again, struct error *err);
MUST_CHECK bool attempt_adopt(struct attempt *attempt, lsn_t confirmed_lsn, struct error *err);

/* Is what is replicated what source.tables names? Warns of what can wait. */
MUST_CHECK bool attempt_check_scope(struct attempt *attempt, enum scope_moment moment, struct error *err);

/* It goes well again: no failure stays on disk. */
void attempt_forget_failure(struct attempt *attempt);

/*
 * After a failure that ends the run: drops the slot that this process made for a copy that came to nothing.
 */
void attempt_drop_own_slot(struct attempt *attempt);

/* attempt_save.c: checkpoint and confirmation, when something moved; at intervals, or now when at_once. */
void attempt_save(struct attempt *attempt, bool at_once);

/* attempt_debug.c: lines for --verbose. */
void attempt_debug_source(const struct attempt *attempt);
void attempt_debug_decision(const struct attempt *attempt, const struct slot_facts *slot,
                            enum start_action action);
void attempt_debug_stream(const struct attempt *attempt);
void attempt_debug_checkpoint(const struct checkpoint *checkpoint);

/* attempt_activity.c: before the first attempt: what earlier processes have counted. */
void attempt_recall_activity(struct pipeline *pipeline);

/* attempt_activity.c: the stored failure ends the run: a conflict is counted for its sink. */
void attempt_count_stop(struct pipeline *pipeline);

/* attempt_activity.c: writes NAME.activity when it is time to and something is new, or now when at_once. */
void attempt_note_activity(struct attempt *attempt, bool at_once);

/* Once a minute, a line in the log for each sink that did something or is late. */
void attempt_report(struct attempt *attempt);

/* attempt_runners.c: waits for a runner or the stream to say something, for a moment. */
void attempt_wait_event(struct attempt *attempt);

/* True when a runner failed; its error is then in *err. */
bool attempt_runner_failed(struct attempt *attempt, struct error *err);

/* Stopped or failed, all of them. */
bool attempt_runners_ended(struct attempt *attempt);

/* Waits until every runner is in the state, for as long as it takes; the first failure of one is ours. */
MUST_CHECK bool attempt_wait_runners(struct attempt *attempt, enum runner_state state,
                                     void (*meanwhile)(struct attempt *attempt), struct error *err);

static inline bool attempt_is_stopped(const struct attempt *attempt) {
    return atomic_load_explicit(attempt->pipeline->options->stop, memory_order_relaxed);
}
