/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - shows how far the initial copy is: a bar on a terminal, elsewhere a log line every ten
 * seconds.
 *
 * Used by the supervisor's thread only, which reads the atomics of the copies.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/copy/snapshot.h"

struct progress {
    bool is_terminal; /* standard error is one */
    bool is_drawn;    /* the terminal's last line is a bar */
    int64_t printed_ms;
    int64_t rate_ms; /* when rate_bytes was measured */
    uint64_t rate_bytes;
    double bytes_per_second;
};

void progress_init(struct progress *progress);

/* The sum of all copies, and a table that one of them is copying. */
struct progress_total {
    uint64_t rows;
    uint64_t bytes;
    uint64_t bytes_done;
    uint64_t bytes_estimate;
    unsigned int tables_done;
    unsigned int table_count;
    char table[SNAPSHOT_TABLE_MAX];
};

struct progress_total progress_add_up(const struct snapshot_progress *const *copies, size_t count);

/*
 * Call it often: it prints when a line is due. The copies of all sinks count as one. now_ms: clock_now_ms().
 */
void progress_print(struct progress *progress, const struct snapshot_progress *const *copies, size_t count,
                    int64_t now_ms);

/*
 * Wipes the bar, so that the next log line has the terminal's line to itself. Call it before any other
 * output.
 */
void progress_end(struct progress *progress);
