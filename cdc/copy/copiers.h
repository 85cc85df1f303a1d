/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copiers.h - the threads that copy the chunks of one sink, and how a copy begins.
 *
 * A copier has two sessions, one at the source and one in the sink. For each chunk it opens a transaction at
 * the source, locks the table against changes of its definition, takes a snapshot, copies the rows, and
 * commits them in the sink together with the snapshot. An error of one copier ends all of them; the engine's
 * next attempt reads again what was not committed.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/base/arena.h"
#include "cdc/base/position.h"
#include "cdc/config/config.h"
#include "cdc/copy/awaited_columns.h"
#include "cdc/copy/chunk_map.h"
#include "cdc/copy/relay.h"
#include "cdc/copy/snapshot.h"
#include "cdc/source/catalog.h"
#include "sinks/sink.h"

enum { COPIERS_MAX = MAP_READERS_MAX };

struct copier_table; /* a table as it was when the copiers started */

/* The snapshot of a table whose chunks share one, by its index in map->tables. */
struct copier_share {
    struct session holder; /* idle in the transaction that exported it */
    char name[64];         /* for SET TRANSACTION SNAPSHOT; "" when the source has no such table any more */
    char *snapshot;        /* its text */
    lsn_t read_lsn;
    int64_t read_ms;
};

struct copiers {
    const struct config *config;
    struct sink *sink; /* the runner's; open */
    struct chunk_map *map;
    struct snapshot_progress *progress;
    struct relay *relay; /* not NULL: the runner writes the chunks, not the copiers */
    struct awaited_columns *awaited; /* the runner's; NULL: the sink does not follow columns */
    const atomic_bool *is_paused; /* while it is true, no copier begins a chunk; NULL: never */
    bool text_only;
    bool is_resumed;             /* the stream may have passed transactions since the plan was made */
    void (*wake)(void *context); /* all chunks are copied, or a copier failed; any thread */
    void *context;
    atomic_bool stop; /* the copiers' sessions read it */
    struct arena arena;
    struct table_list tables;
    struct copier_table *by_oid;                /* one per table, ordered by OID */
    struct copier_share *shares;                /* one per table of the map; written before chunk_map_open */
    int wal_writer_delay_ms;                    /* of the source */
    uint64_t wal_page_bytes, wal_segment_bytes; /* likewise */
    atomic_ullong flushed_lsn; /* each commit before it is on the source's disk; a copier found out */
    pthread_t threads[COPIERS_MAX];
    int thread_count, threads_wanted;
    pthread_t waiter; /* starts them later, because a table was locked at the start */
    bool has_waiter;
};

/*
 * Begins a copy in chunks: plans it under the exported snapshot, creates the sink's tables, and stores the
 * plan with the position. Runs on the runner's thread. The exporting session must stay idle until it returns.
 */
MUST_CHECK bool copiers_plan(const struct config *config, const char *snapshot_name, struct sink *sink,
                             const struct position *position, const atomic_bool *stop, struct error *err);

/*
 * Reads the tables from the source and starts the threads. The caller has set config, sink, map, progress,
 * relay, is_paused, text_only, is_resumed, wake and context. stop: of the runner, for this call only.
 */
MUST_CHECK bool copiers_start(struct copiers *copiers, const atomic_bool *stop, struct error *err);

/* The stream waits while the runner writes a chunk, so those of a sink with one writer are smaller. */
uint64_t copiers_chunk_bytes(const struct config *config, const struct sink_ops *ops);

/* Ends the threads: at once, what was not committed is rolled back. Accepts zeroed copiers. */
void copiers_end(struct copiers *copiers);
