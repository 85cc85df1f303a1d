/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - shows how far a copy is: a bar and the tables in work on a terminal, elsewhere a log line
 * every ten seconds.
 *
 * Used by the supervisor's thread only, which reads the atomics of the copies and the maps of their chunks.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/copy/chunk_tally.h"
#include "cdc/copy/snapshot.h"

enum { PROGRESS_TABLES_MAX = 8 };

/* Smoothed over some seconds. */
struct progress_rate {
    int64_t measured_ms; /* 0: not yet */
    uint64_t bytes, done;
    double bytes_per_s; /* moved */
    double done_per_s;  /* of the estimate */
    bool is_known;
};

/* A table of which a chunk is being copied. */
struct progress_table {
    size_t sink; /* its index among the copies */
    char name[SNAPSHOT_TABLE_MAX];
    struct chunk_tally tally; /* its names are not set */
    struct progress_rate rate;
};

/* The sum of all copies. */
struct progress_total {
    uint64_t rows;
    uint64_t bytes;
    uint64_t bytes_done;
    uint64_t bytes_estimate;
    unsigned int tables_done;
    unsigned int table_count;
    uint64_t chunks_done;
    uint64_t chunk_count;           /* 0: the copy is one step */
    char table[SNAPSHOT_TABLE_MAX]; /* that one of them is copying; or "" */
    struct progress_table tables[PROGRESS_TABLES_MAX];
    size_t shown_count; /* of tables */
    size_t read_count;  /* tables in work, those included that have no place in tables */
    struct progress_rate rate;
};

struct progress {
    bool is_terminal; /* standard error is one */
    bool is_drawn;    /* its last lines are ours */
    int64_t updated_ms;
    int64_t printed_ms;
    struct progress_total total;
};

void progress_init(struct progress *progress);

/* Call it often. The copies of all sinks count as one. now_ms: clock_now_ms(). */
void progress_update(struct progress *progress, struct snapshot_progress *const *copies, size_t count,
                     int64_t now_ms);

/* Likewise: prints when a line is due. */
void progress_print(struct progress *progress, int64_t now_ms);

/* The time that the rest will take at the present rate, in milliseconds; -1: not known. */
int64_t progress_left_ms(const struct progress_rate *rate, uint64_t done, uint64_t estimate);

/*
 * Wipes what is drawn, so that the next output has the terminal's lines to itself. Log lines do that by
 * themselves.
 */
void progress_end(struct progress *progress);
