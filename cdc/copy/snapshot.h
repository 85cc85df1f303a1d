/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot.h - the initial copy: every row that existed when the slot began, into one sink.
 *
 * Runs on the sink's runner thread with a source session of its own, which imports the snapshot that the
 * slot's creation exported. The exporting session must stay open and idle until the copy ends. The import is
 * proved before the first row is read. The whole copy is one atomic step of the sink, which ends with the
 * position; an interrupted copy leaves nothing in the sink.
 */
#pragma once

#include <pthread.h>

#include "cdc/base/position.h"
#include "cdc/config/config.h"
#include "sinks/sink.h"

#define SNAPSHOT_TABLE_MAX 128 /* "schema.name": two names of 63 bytes, a dot, a NUL */

struct chunk_map;

/* How far the copy is. Written by the runner's thread, read by any; for display, not for decisions. */
struct snapshot_progress {
    /* a copy in chunks that goes on: its map says all but rows and bytes; else NULL */
    struct chunk_map *map;
    pthread_mutex_t map_lock; /* guards map */
    /* of a copy in chunks that ended before it was complete */
    atomic_ullong chunk_count;
    atomic_ullong chunks_safe; /* copied, and not to be copied again */
    atomic_ullong rows;
    atomic_ullong bytes;          /* copied */
    atomic_ullong bytes_estimate; /* of all tables, on the source's disk: the basis of percentages */
    atomic_ullong bytes_done;     /* of bytes_estimate */
    atomic_uint tables_done;
    atomic_uint table_count;                                              /* 0: not known yet */
    atomic_ullong table[SNAPSHOT_TABLE_MAX / sizeof(unsigned long long)]; /* see snapshot_progress_table */
};

/* The table being copied, or "". The name may be torn when it changes at this moment. */
void snapshot_progress_table(const struct snapshot_progress *progress, char ret_table[SNAPSHOT_TABLE_MAX]);

/* The map of a copy in chunks that goes on, or NULL; the caller frees it (chunk_map_share). */
struct chunk_map *snapshot_progress_share(struct snapshot_progress *progress);

/* table: NULL for none. */
void snapshot_progress_name(struct snapshot_progress *progress, const struct table *table);

/*
 * position: the slot's consistent point. The table list and the rows come from the same snapshot. The bytes
 * are binary where types and sink allow it. Errors of source and sink; the sink must then be closed.
 * ERROR_RETRY when the snapshot is gone or a table was rewritten: retry with a new slot.
 */
MUST_CHECK bool snapshot_copy(const struct config *config, const char *snapshot_name, struct sink *sink,
                              bool text_only, const struct position *position,
                              struct snapshot_progress *progress, const atomic_bool *stop, struct error *err);
