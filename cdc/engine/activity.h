/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.h - what an engine does and how fast, beside its checkpoint: NAME.activity in the state directory.
 *
 * For people and `status` only: nothing is decided by it, it is never synced, and a file that is not whole is
 * none. Its engine writes it every few seconds, when something in it has changed, and once more at the end.
 * Counts of stops go on from one process to the next, until `drop`. No row's value is in it.
 */
#pragma once

#include <sys/types.h>

#include "cdc/copy/snapshot.h"
#include "cdc/engine/checkpoint.h"
#include "sinks/conflict.h"

/* Of the initial copy while it runs; all sinks together. */
struct activity_copy {
    bool runs;
    uint64_t tables_done;
    uint64_t table_count; /* 0: not known yet */
    uint64_t rows;
    uint64_t bytes; /* moved */
    uint64_t bytes_done;
    uint64_t bytes_estimate;
    char table[SNAPSHOT_TABLE_MAX]; /* one that is being copied, or "" */
};

/* Times are the source's, since 1970; 0: not known. */
struct activity_sink {
    char name[CHECKPOINT_NAME_MAX];
    uint64_t transactions;
    uint64_t changes;
    double transactions_per_s;
    double changes_per_s;
    int64_t commit_us;              /* when the last transaction that it has was committed */
    int64_t caught_up_us;           /* when the source's WAL ended at or before what it has */
    uint64_t stops[CONFLICT_KINDS]; /* ever: how often a conflict stopped the pipeline there */
};

struct activity {
    bool exists;
    pid_t pid;
    int64_t started_us; /* of the process; counts are since then */
    int64_t written_us;
    uint64_t rows_copied; /* by copies that ended */
    struct activity_copy copy;
    size_t sink_count;
    struct activity_sink sinks[CHECKPOINT_SINKS_MAX];
};

/* How long ago everything that was committed until then is in the sink: at most so long; -1: not known. */
int64_t activity_lag_ms(const struct activity_sink *sink, int64_t source_now_us);

/* NULL when there is none of that name. */
const struct activity_sink *activity_find(const struct activity *activity, const char *name);

/* A file that cannot be read is as none. */
void activity_read(const char *directory, const char *pipeline, struct activity *ret_activity);

/* Atomic. What cannot be written is only missing for people. */
MUST_CHECK bool activity_write(const char *directory, const char *pipeline, const struct activity *activity,
                               struct error *err);

/* True when there is none. */
MUST_CHECK bool activity_remove(const char *directory, const char *pipeline, struct error *err);
