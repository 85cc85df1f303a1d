/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.h - what an engine does and how fast: NAME.activity in the state directory, next to its
 * checkpoint.
 *
 * For people and `status` only: no decision depends on it, it is never synced, and an incomplete file counts
 * as missing. The engine writes it every few seconds when something in it has changed, and once more at the
 * end. The counts of stops continue from one process to the next, until `drop`. It contains no row's value.
 */
#pragma once

#include <sys/types.h>

#include "cdc/copy/progress.h"
#include "cdc/engine/checkpoint.h"
#include "sinks/conflict.h"

enum {
    ACTIVITY_NAME_MAX = 128, /* two names of PostgreSQL, and the point */
    ACTIVITY_LEFT_OUT_MAX = 32,
};

/* A table of which a chunk is being copied. */
struct activity_table {
    char sink[CHECKPOINT_NAME_MAX];
    oid_t oid; /* at the source */
    uint64_t rows;
    uint64_t bytes_done;
    int64_t bytes_per_s; /* moved; -1: not known */
    int64_t left_ms;     /* likewise */
};

/* A copy while it runs; all sinks together. */
struct activity_copy {
    bool runs;
    uint64_t tables_done;
    uint64_t table_count; /* 0: not known yet */
    uint64_t rows;
    uint64_t bytes; /* moved */
    uint64_t bytes_done;
    uint64_t bytes_estimate;
    int64_t bytes_per_s;            /* -1: not known */
    int64_t left_ms;                /* likewise */
    char table[SNAPSHOT_TABLE_MAX]; /* a table that is being copied now, or "" */
    struct activity_table tables[PROGRESS_TABLES_MAX];
    size_t shown_count; /* of tables; there may be more in work */
};

/* Times are the source's, since 1970; 0: not known. */
struct activity_sink {
    char name[CHECKPOINT_NAME_MAX];
    uint64_t transactions;
    uint64_t changes;
    uint64_t left_out; /* of these, by conditions of the mapping */
    double transactions_per_s;
    double changes_per_s;
    int64_t commit_us;    /* commit time of the last transaction that the sink has */
    int64_t caught_up_us; /* when the source's WAL ended at or before the sink's position */
    /* since the pipeline exists: how often a conflict of each kind stopped it at this sink */
    uint64_t stops[CONFLICT_KINDS];
};

/* Of a rule of the mapping and a table: rows that its condition has left out of a sink. */
struct activity_left_out {
    char sink[CHECKPOINT_NAME_MAX];
    char table[ACTIVITY_NAME_MAX]; /* schema.table at the source */
    char rule[ACTIVITY_NAME_MAX];  /* its match; the beginning of a long one */
    uint64_t changes;
    uint64_t copied;
};

struct activity {
    bool exists;
    pid_t pid;
    int64_t started_us; /* of the process; counts begin then */
    int64_t written_us;
    uint64_t rows_copied; /* by completed copies */
    struct activity_copy copy;
    size_t sink_count;
    struct activity_sink sinks[CHECKPOINT_SINKS_MAX];
    size_t left_out_count;
    struct activity_left_out left_out[ACTIVITY_LEFT_OUT_MAX]; /* the first ones; there may be more */
};

/*
 * An upper bound of the sink's lag: everything that was committed so long ago is in the sink. -1: not known.
 */
int64_t activity_lag_ms(const struct activity_sink *sink, int64_t source_now_us);

/* NULL when no sink has that name. */
const struct activity_sink *activity_find(const struct activity *activity, const char *name);

/* A file that cannot be read counts as missing. */
void activity_read(const char *directory, const char *pipeline, struct activity *ret_activity);

/* Atomic. A failure loses information for people, nothing else. */
MUST_CHECK bool activity_write(const char *directory, const char *pipeline, const struct activity *activity,
                               struct error *err);

/* True also when the file does not exist. */
MUST_CHECK bool activity_remove(const char *directory, const char *pipeline, struct error *err);
