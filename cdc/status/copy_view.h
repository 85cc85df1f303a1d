/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_view.h - a copy that goes on or was interrupted, as a status shows it.
 *
 * Chunks are counted in the plan that the sink stores: that is what an interruption leaves. While an engine
 * runs, its activity adds what is not committed yet, and the rates. A copy in one step is known only from
 * there.
 */
#pragma once

#include "cdc/status/status.h"

enum copy_state {
    COPY_NONE,
    COPY_RUNS,
    COPY_ENDS,        /* all chunks are copied; the stream has yet to pass what they contain */
    COPY_INTERRUPTED, /* no engine runs */
};

struct copy_view {
    const struct status *status;
    enum copy_state state;
    struct chunk_tally sum; /* chunk_count 0: the copy is one step */
    uint64_t tables_done, table_count;
    const char *table;   /* of a copy in one step: a table that is being copied; or "" */
    int64_t bytes;       /* moved by the engine; -1: not known, as are the following */
    int64_t bytes_per_s; /* likewise */
    int64_t left_ms;
};

/* A table of a copy in chunks. */
struct copy_view_table {
    size_t sink;
    struct chunk_tally tally;
    int64_t bytes_per_s; /* -1: not known */
    int64_t left_ms;     /* likewise */
    size_t next;         /* in the sink's plan */
};

void copy_view_make(const struct status *status, struct copy_view *ret_view);

/* The next table of all sinks; at first *table is zeroed. False: there is none. */
bool copy_view_next(const struct copy_view *view, struct copy_view_table *table);

/* NULL for COPY_NONE. */
const char *copy_state_name(enum copy_state state);
