/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt.h - one life of a pipeline: open everything, check, start, supervise, stop everything.
 *
 * All of this runs on the supervisor's thread, which also writes the checkpoint. So neither a slow disk nor a
 * slow sink keeps the feed from answering the server.
 *
 * A position is confirmed in this order: durable in the sink, then in the checkpoint on disk, then in the
 * slot. So slot <= disk <= sink. README.md argues why, and why no two threads wait for each other.
 */
#pragma once

#include "cdc/copy/progress.h"
#include "cdc/engine/activity.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/columns_file.h"
#include "cdc/engine/conflict_log.h"
#include "cdc/engine/control.h"
#include "cdc/engine/failure.h"
#include "cdc/engine/feed.h"
#include "cdc/engine/pipeline.h"
#include "cdc/engine/published.h"
#include "cdc/engine/runner.h"
#include "cdc/engine/start.h"
#include "cdc/engine/watch.h"
#include "cdc/readers/reader.h"
#include "cdc/source/generated_columns.h"

/* The state behind the activity file, apart from the metrics: the window over which rates are measured. */
struct activity_state {
    struct activity written;
    int64_t written_ms;
    int64_t window_ms; /* when the window began */
    struct activity_counts {
        uint64_t transactions_at; /* when the window began */
        uint64_t changes_at;
        int64_t caught_up_us;
        uint64_t stops[CONFLICT_KINDS]; /* counted by all processes */
    } counts[CHECKPOINT_SINKS_MAX];
};

/* What outlives an attempt. */
struct pipeline {
    struct control control;
    bool knows_newcomers; /* tables without a copy were looked for, and the watch has found none since */
    bool knows_published; /* likewise, for sinks that append */
    const struct config *config;
    const struct pipeline_options *options;
    struct checkpoint checkpoint;
    struct sink_metrics metrics[CHECKPOINT_SINKS_MAX];
    struct reader *reader; /* opened and closed by each attempt */
    struct sink *sinks[CHECKPOINT_SINKS_MAX];
    struct columns_file columns_files[CHECKPOINT_SINKS_MAX];
    /* the configuration's, with the source database's name added */
    struct sink_config sink_configs[CHECKPOINT_SINKS_MAX];
    char database[DATABASE_NAME_MAX];              /* the source's, known after the first connection */
    lsn_t careful_until_lsn[CHECKPOINT_SINKS_MAX]; /* see struct runner */
    lsn_t until_lsn;                               /* 0: none, or not known yet */
    bool needs_text; /* a sink does not accept binary values, or the source cannot send some */
    /* tables that neither the source nor the target has any more; the sinks omit their changes */
    oid_t *gone;
    size_t gone_count;
    struct generated_columns generated; /* columns that the source generates, when it was asked */
    struct arena tables_arena;
    struct catalog_tables tables; /* the source's, as they were at the attempt's start */
    bool progressed;              /* the last attempt made something durable */
    int protocol_errors;          /* attempts in a row that ended in a protocol error, without progress */
    /* the last attempt failed in a group; the next one finds the transaction and reports its error */
    bool looks_for_cause;
    struct conflict_log conflict_log;
    struct failure failure;   /* as it is on disk */
    int64_t waiting_since_ms; /* since when we wait for an engine that uses the slot; 0: no engine does */
    struct activity_state activity;
    struct pipeline_result result; /* counts so far, and whether the end was reached */
};

struct attempt {
    struct pipeline *pipeline;
    struct reader *reader;     /* the pipeline's */
    struct reader_facts facts; /* as the reader read them last */
    int event_fd;              /* an eventfd: runners, feed and watch wake the supervisor with it */
    struct feed feed;
    struct watch watch;     /* started only when the reader has a catalog */
    struct runner *runners; /* one per sink */
    size_t runner_count;
    struct position *positions; /* one per sink: where it starts */
    bool ends_after_copy;       /* the run ends when the copy in chunks is complete */
    bool store_positions;       /* the sinks do not have the positions yet */
    struct progress progress;   /* of the initial copy, for people */
    struct copy_watch copy_watch;
    struct published published; /* what NAME.published has, or will have */
    bool keeps_published;       /* it is to be written once the runners have stored their plans */
    bool is_reloading;          /* a client of the control socket waits for it */
    struct chunk_edit *edit;    /* what a client of the control socket has sent of one; or NULL */
    struct runner *edited;      /* of which it is */
    struct runner *barrier;     /* that holds, or is to hold, for a client of the control socket; or NULL */
    bool is_asked;              /* the client waits for the barrier's next phase */
    bool shows_copy;            /* progress is in use while the stream runs */
    bool disk_fails;            /* the checkpoint could not be written; it is retried */
    struct error disk_error;    /* why */
    int64_t disk_tried_ms;
    int64_t reported_ms;
    unsigned int reported_sample; /* number of the last WAL sample that was reported */
    struct wal_sample seen;       /* the first sample after that, and when we saw it */
    int64_t seen_ms;
    uint64_t reported_transactions[CHECKPOINT_SINKS_MAX];
    uint64_t reported_changes[CHECKPOINT_SINKS_MAX];
};

/* True: the stop was orderly, or the end was reached. */
MUST_CHECK bool attempt_run(struct pipeline *pipeline, struct error *err);

/* attempt_open.c: the source, or an archive; sets facts. */
MUST_CHECK bool attempt_open_reader(struct attempt *attempt, struct error *err);

/* attempt_open.c: unless another engine runs the pipeline: starts the runners, and waits for all to open. */
MUST_CHECK bool attempt_open_sinks(struct attempt *attempt, struct error *err);

/* attempt_open.c: how the pipeline begins; refuses what would lose or repeat changes. */
MUST_CHECK bool attempt_decide(struct attempt *attempt, struct error *err);

/*
 * attempt_end.c: stops reading, lets the sinks finish what they have, saves and confirms it. Work that does
 * not finish in time is rolled back.
 */
void attempt_stop(struct attempt *attempt);

/* attempt_end.c: ends all threads, from any state. */
void attempt_end(struct attempt *attempt);

/* attempt_end.c: after that: the result gets the counts. False: they do not agree. */
MUST_CHECK bool attempt_close_books(struct attempt *attempt, bool is_orderly, struct error *err);

/*
 * attempt_new.c: creates a pipeline (at the source, and the copy) or adopts a slot, and sets the positions.
 * again: an interrupted copy left a slot of that name, which is dropped first.
 */
MUST_CHECK bool attempt_create(struct attempt *attempt, bool again, struct error *err);
MUST_CHECK bool attempt_adopt(struct attempt *attempt, lsn_t confirmed_lsn, struct error *err);

/*
 * attempt_rows.c: every sink has a position, which is changed to say that no rows are missing before it,
 * where that is so.
 */
MUST_CHECK bool attempt_check_rows(struct attempt *attempt, struct error *err);

/*
 * attempt_tables.c: before streaming: adds tables that were published since, and whose rows a sink lacks, to
 * the plan of each sink.
 */
MUST_CHECK bool attempt_add_newcomers(struct attempt *attempt, struct error *err);

/* attempt_columns.c: before the runners are ordered to run: sets facts.tables of their sinks. */
MUST_CHECK bool attempt_read_tables(struct attempt *attempt, struct error *err);

/* attempt_tables.c: logs that they are copied. */
void attempt_say_tables(const struct table_list *tables);

/*
 * attempt_published.c: the same for sinks that append. note: before the slot of a new pipeline is created.
 * add: before streaming. keep: while it runs.
 */
MUST_CHECK bool attempt_note_published(struct attempt *attempt, struct error *err);
MUST_CHECK bool attempt_add_published(struct attempt *attempt, struct error *err);
void attempt_keep_published(struct attempt *attempt);
bool attempt_watches_published(const struct config *config);

/* attempt_tables.c: are tables copied by themselves? See copy.new_tables. */
bool attempt_may_add(const struct attempt *attempt);

/*
 * attempt_tables.c: after a failure: adds a table that a sink lacks. False: it cannot be, or was added
 * before: then the sink lacks it under another name.
 */
bool attempt_add_lacking(struct attempt *attempt, oid_t oid, struct error *err);

/* attempt_new.c: shows how far the copy is. */
void attempt_show_copy(struct attempt *attempt);

/* The pipeline works again: removes the stored failure. */
void attempt_forget_failure(struct attempt *attempt);

/*
 * attempt_learn.c: after all threads have ended, of an attempt that failed. When the next one can do better,
 * *err becomes ERROR_RETRY.
 */
void attempt_learn(struct attempt *attempt, struct error *err);

/* After a failure that ends the run: drops what this process created for a copy that failed. */
void attempt_abandon_new(struct attempt *attempt);

/*
 * attempt_save.c: writes the checkpoint when positions changed, then confirms it; at intervals, or now when
 * at_once.
 */
void attempt_save(struct attempt *attempt, bool at_once);

/* The configuration was read again: the next attempt opens the sinks with it. */
bool pipeline_is_renewed(const struct pipeline *pipeline);

/* attempt_debug.c: lines for --verbose. */
void attempt_debug_decision(const struct attempt *attempt, enum start_action action);
void attempt_debug_checkpoint(const struct checkpoint *checkpoint);

/* Positions of an idle source are handed on without delay up to this one, also in another part. */
void attempt_want(const struct attempt *attempt, lsn_t lsn);

/* attempt_activity.c: before the first attempt: reads the counts of earlier processes. */
void attempt_recall_activity(struct pipeline *pipeline);

/* attempt_activity.c: the stored failure ends the run: counts a conflict for its sink. */
void attempt_count_stop(struct pipeline *pipeline);

/* attempt_activity.c: writes NAME.activity when it is due and something changed, or now when at_once. */
void attempt_note_activity(struct attempt *attempt, bool at_once);

/* attempt_activity.c: as the file will have it, but for the rates. */
void attempt_gather_activity(struct attempt *attempt, struct activity *activity);

/*
 * attempt_live.c: tells the other threads of the process; a few times a second when phase stays the same.
 * Between attempts, and before the first one: error is why the last one failed.
 */
void attempt_show_live(struct attempt *attempt, enum live_phase phase);
void pipeline_show_live(struct pipeline *pipeline, enum live_phase phase, const struct error *error);
void pipeline_begin_live(struct pipeline *pipeline);

/* Once a minute, logs a line for each sink that applied something or is late. */
void attempt_report(struct attempt *attempt);

/* attempt_control.c: takes requests of the control socket, and answers those that are done. Never blocks. */
void attempt_serve(struct attempt *attempt);

/* The runners end: what a client of the control socket waits for does not come. */
void attempt_stop_serving(struct attempt *attempt);

/*
 * attempt_runners.c: waits for an event of a runner, the feed, the watch or the control socket, a tenth of a
 * second at most.
 */
void attempt_wait_event(struct attempt *attempt);

/* True when a runner failed; its error is then in *err. */
bool attempt_runner_failed(struct attempt *attempt, struct error *err);

/* A copy in chunks goes on in one of the sinks. */
bool attempt_is_copying(struct attempt *attempt);

/* The same, or a runner has yet to read a plan again, to which tables may have been added. */
bool attempt_has_copy(struct attempt *attempt);

/* Every runner has stopped or failed. */
bool attempt_runners_ended(struct attempt *attempt);

/* Waits without a limit until every runner is in the state. Returns the first error of a runner. */
MUST_CHECK bool attempt_wait_runners(struct attempt *attempt, enum runner_state state,
                                     void (*meanwhile)(struct attempt *attempt), struct error *err);

static inline bool attempt_is_stopped(const struct attempt *attempt) {
    return atomic_load_explicit(attempt->pipeline->options->stop, memory_order_relaxed);
}
