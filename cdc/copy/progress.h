/* SPDX-License-Identifier: Apache-2.0 */
/*
 * progress.h - shows a person how far the initial copy is: a bar on a terminal, a log line every ten seconds
 * elsewhere.
 *
 * One thread uses it, the one that supervises; it only reads the atomics of the copies.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/copy/snapshot.h"

struct progress {
    bool is_terminal; /* standard error is one */
    bool is_drawn;    /* a bar stands in the terminal's last line */
    int64_t printed_ms;
    int64_t rate_ms; /* when rate_bytes were counted */
    uint64_t rate_bytes;
    double bytes_per_second;
};

void progress_init(struct progress *progress);

/* The sum of all copies, and the name of a table that one of them is at. */
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
 * Call it often: it prints when it is time to. The copies of all sinks count as one. now_ms: clock_now_ms().
 */
void progress_print(struct progress *progress, const struct snapshot_progress *const *copies, size_t count,
                    int64_t now_ms);

/* Wipes the bar, so that the next log line has the terminal's line to itself. Before any other output. */
void progress_end(struct progress *progress);
