/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_map.h - the plan of a copy in memory: which chunks are copied, and under which snapshots.
 *
 * Shared by the copiers of one sink, which copy the chunks, and by its runner, which asks about each streamed
 * change. A chunk moves WAITING -> READING -> COPIED; the runner moves one back to WAITING when a change
 * cannot be applied to it, and holds it until that is committed in the sink. Every call takes the lock, and
 * none waits for a server.
 *
 * The rule of READING: from the moment at which the snapshot is accepted, a change is omitted if the snapshot
 * sees its transaction, and else waits for the chunk's commit. Before it, the change is omitted and its xid
 * is kept: the snapshot that is accepted later must see it.
 *
 * In a relayed copy the runner itself writes the rows of a chunk, so it can do that only between two
 * transactions. There a transaction waits at its Begin, until no chunk is READING with a snapshot that does
 * not see it. If such a sink appends, rows that it has cannot be removed: a chunk that must be copied again
 * stays COPIED, under its snapshot, while its rows are read and written once more. If not, as in an archive,
 * a TRUNCATE is written, and all chunks of the table that were copied are WAITING again.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/xid_snapshot.h"
#include "cdc/copy/chunk_key.h"
#include "cdc/copy/chunk_tally.h"
#include "sinks/chunk.h"

enum map_chunk_state { MAP_CHUNK_WAITING, MAP_CHUNK_READING, MAP_CHUNK_COPIED };

struct map_chunk {
    struct chunk chunk; /* as planned; its state is below */
    struct chunk_key low;
    struct map_table *table;
    enum map_chunk_state state; /* of CHUNK_BY_PAGES: of all chunks of the table */
    bool is_done;               /* of CHUNK_BY_PAGES: this one is copied */
    bool is_taken;              /* by a copier that has no accepted snapshot yet */
    bool is_dirty;              /* the sink has rows in its range */
    bool is_held;               /* dirty, and that is not committed yet */
    bool is_kept;               /* see chunk_is_kept */
    atomic_ullong rows;         /* so far; for display */
    atomic_ullong bytes;        /* moved by this engine; likewise */
    bool is_repeated;           /* relayed: it is COPIED, and its rows are to be written once more */
    struct xid_snapshot snapshot;
    struct xid_snapshot repeat; /* while they are read for that; else xmax is 0 */
};

struct map_table {
    oid_t oid;
    size_t first; /* index of its first chunk */
    size_t count;
    size_t copied_count;
    enum chunk_method method;
    int64_t put_off_until_ms; /* a copier could not read it yet; other tables go first */
    bool is_open;             /* of CHUNK_BY_PAGES: the snapshot of all its chunks can be imported */
    size_t ending_count;      /* likewise: chunks that are copied, or about to be committed */
};

/* Are all chunks of the table from one snapshot? */
static inline bool map_table_is_shared(const struct map_table *table) {
    return table->method == CHUNK_BY_PAGES && table->count > 1;
}

/* Must the source be asked in which chunk a key is? */
static inline bool map_table_is_asked(const struct map_table *table) {
    return table->method == CHUNK_BY_SOURCE && table->count > 1;
}

static inline bool map_chunk_is_being_read(const struct map_chunk *chunk) {
    return chunk->state == MAP_CHUNK_READING || chunk->repeat.xmax != 0;
}

enum map_work { MAP_WORK_CHUNK, MAP_WORK_END, MAP_WORK_NONE };

enum map_answer { MAP_APPLY, MAP_OMIT, MAP_WAIT };

enum { MAP_READERS_MAX = 64 };

struct chunk_map {
    atomic_uint users;    /* see chunk_map_share */
    pthread_mutex_t lock; /* guards everything below, except what never changes */
    pthread_cond_t changed;
    struct arena arena; /* the texts of the plan */
    struct map_chunk *chunks;
    size_t count;
    struct map_table *tables; /* by OID */
    size_t table_count;
    size_t copied_count;
    /* the last accepted one, at first the slot's: two copiers may offer theirs in the other order */
    struct xid_snapshot latest;
    uint64_t known_xid; /* a recent xid, to widen the stream's */
    uint64_t *seen;     /* streamed xids that the next snapshots must see, and latest does not */
    size_t seen_count, seen_capacity;
    bool end_is_asked; /* a copier reads end_lsn, or has read it */
    bool end_is_stale; /* a chunk was reset while the copier read it: what it reads is too early */
    /*
     * Not 0: all chunks are copied, and each transaction that one of them sees ends at or before this LSN.
     */
    lsn_t end_lsn;
    bool has_added;   /* a chunk was added to a running pipeline; never changes */
    bool is_relayed;  /* set by the runner before the copiers start */
    bool is_appended; /* likewise: relayed to a sink that appends */
    const struct map_chunk *readers[MAP_READERS_MAX]; /* relayed: the chunks that are being read */
    size_t reader_count;
    bool is_closed;     /* no work any more */
    struct error error; /* of a copier; kind ERROR_NONE: none */
};

/* Copies the plan, which has at least one chunk. */
MUST_CHECK bool chunk_map_new(const struct chunk_plan *plan, struct chunk_map **ret_map, struct error *err);
/* After every thread has ended its use, but for those that share it. Accepts NULL. */
void chunk_map_free(struct chunk_map *map);
/* The caller frees it too. It may then only ask for tallies. */
struct chunk_map *chunk_map_share(struct chunk_map *map);

/* How far each table is, in the order of map->tables. Any thread. */
void chunk_map_tally(struct chunk_map *map, struct chunk_tally *ret_tables);

/* ---- copiers: chunk_map_work.c ---- */

/*
 * Waits for work: the next chunk, which is then the caller's until chunk_map_end, or to read the end of the
 * source's WAL for chunk_map_set_end. MAP_WORK_NONE: the copier ends.
 */
enum map_work chunk_map_take(struct chunk_map *map, struct map_chunk **ret_chunk);

/*
 * Offers the snapshot of the transaction that is going to read the chunk, which the map copies.
 * *ret_accepted is false when it does not see a transaction that it must see: take another one.
 */
MUST_CHECK bool chunk_map_accept(struct chunk_map *map, struct map_chunk *chunk,
                                 const struct xid_snapshot *snapshot, bool *ret_accepted, struct error *err);

/*
 * Of a shared table first only its first chunk is work, until its snapshot is accepted; then it is open, and
 * all chunks are work.
 */
void chunk_map_open(struct chunk_map *map, struct map_chunk *first);

/*
 * The table of the chunk cannot be read yet: the chunk is work again, after those of other tables for a
 * while. True: it was put off when it was taken, so there is no other work.
 */
bool chunk_map_put_off(struct chunk_map *map, struct map_chunk *chunk);

/*
 * Of a shared table, before the chunk is committed: is it the last one? Then the others are committed; it
 * waits for those that are being committed.
 */
MUST_CHECK bool chunk_map_find_last(struct chunk_map *map, struct map_chunk *chunk, bool *ret_last,
                                    struct error *err);

/* The sink has removed the rows of the shared table. */
void chunk_map_note_emptied(struct chunk_map *map, struct map_chunk *first);

/*
 * The chunk's rows and its mark are committed in the sink. True: it was its table's last one. In a relayed
 * copy the runner calls it.
 */
bool chunk_map_end(struct chunk_map *map, struct map_chunk *chunk);

/* By the copier that got MAP_WORK_END: end_lsn was read after that. */
void chunk_map_set_end(struct chunk_map *map, lsn_t end_lsn);

/* The first error counts. Closes the map. */
void chunk_map_fail(struct chunk_map *map, const struct error *error);

/* ---- the runner ---- */

/* NULL: the table is not being copied. Never changes, so it takes no lock. */
const struct map_table *chunk_map_table(const struct chunk_map *map, oid_t oid);

/* The chunk of a table that has the key. */
struct map_chunk *chunk_map_place(const struct chunk_map *map, const struct map_table *table,
                                  const struct chunk_key *key);

uint64_t chunk_map_widen(struct chunk_map *map, xid_t xid);

/* A recent xid: the plan of added chunks has none from which the stream's could be widened. */
void chunk_map_know(struct chunk_map *map, uint64_t xid);

/* Snapshots from now on must see the transaction. Before the first chunk_map_ask about it. */
MUST_CHECK bool chunk_map_note(struct chunk_map *map, uint64_t xid, struct error *err);

enum map_answer chunk_map_ask(struct chunk_map *map, const struct map_chunk *chunk, uint64_t xid);

/* Are all chunks of the table copied, none with a snapshot that sees the transaction? */
bool chunk_map_is_unseen(struct chunk_map *map, const struct map_table *table, uint64_t xid);

/* The chunk is copied, and must be copied again once that is committed in the sink. */
void chunk_map_reset(struct chunk_map *map, struct map_chunk *chunk);

/*
 * All chunks of the table must be copied again, once the removal of its rows is committed in the sink. Does
 * nothing while one of them is being read, which is then returned.
 */
const struct map_chunk *chunk_map_empty(struct chunk_map *map, const struct map_table *table);

/* The reset is committed in the sink. */
void chunk_map_release_held(struct chunk_map *map, struct map_chunk *chunk);
/* The removal of all rows of the chunk's table is. */
void chunk_map_release_table(struct chunk_map *map, struct map_chunk *chunk);

/*
 * Relayed: a transaction begins. *ret_awaited is a chunk that it must wait for, or NULL. From then on each
 * snapshot that is accepted sees the transaction.
 */
MUST_CHECK bool chunk_map_enter(struct chunk_map *map, uint64_t xid, const struct map_chunk **ret_awaited,
                                struct error *err);

/* Relayed: does the sink have the chunk's rows? */
bool chunk_map_is_copied(struct chunk_map *map, const struct map_chunk *chunk);

/* Relayed: the chunk's rows are written once more, unless that is going to happen anyway: then false. */
bool chunk_map_repeat(struct chunk_map *map, struct map_chunk *chunk);

/* Waits until the chunk is not being read any more, at most timeout_ms. False: it still is. */
bool chunk_map_wait(struct chunk_map *map, const struct map_chunk *chunk, int timeout_ms);

/* True, and the error of a copier in *err. */
bool chunk_map_failed(struct chunk_map *map, struct error *err);

/* See struct chunk_map. */
lsn_t chunk_map_end_lsn(struct chunk_map *map);
uint64_t chunk_map_seen_below(struct chunk_map *map);

/* The chunk with this id, which exists. */
struct map_chunk *chunk_map_find(struct chunk_map *map, uint32_t id);

/* The largest id of a chunk. Never changes. */
uint32_t chunk_map_last_id(const struct chunk_map *map);

/* No copier gets work any more. */
void chunk_map_close(struct chunk_map *map);
