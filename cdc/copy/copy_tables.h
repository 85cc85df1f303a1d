/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_tables.h - how far each table of the copies in chunks is, while they run and after they have ended.
 *
 * For people. Used by the supervisor's thread only.
 */
#pragma once

#include "cdc/copy/snapshot.h"

enum { COPY_TABLES_MAX = 256, COPY_WATCH_MAX = 64 };

struct copy_table {
    size_t sink; /* its index among the copies */
    char name[SNAPSHOT_TABLE_MAX];
    uint64_t chunk_count, chunks_done, chunks_read;
    uint64_t rows; /* in the sink, and on their way to it */
    uint64_t bytes_done, bytes_estimate;
};

struct copy_tables {
    struct copy_table tables[COPY_TABLES_MAX];
    size_t count;
    size_t more_count; /* tables that have no place */
};

/* Zeroed: nothing has been seen. A map that has ended is kept until the others have, for the last counts. */
struct copy_watch {
    struct chunk_map *maps[COPY_WATCH_MAX];
};

/* Fills *tables anew when one of the copies is in chunks, and leaves it as it is when none is. */
void copy_watch_look(struct copy_watch *watch, struct snapshot_progress *const *copies, size_t count,
                     struct copy_tables *tables);

void copy_watch_end(struct copy_watch *watch);
