/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk.h - a chunk: the rows of one table in one range of its key, copied under a snapshot of their own.
 *
 * The sink stores the plan of a copy, chunk by chunk, and with each chunk's rows the snapshot that they are
 * from. From then on a streamed change of that range is applied if the snapshot does not see its transaction.
 * The plan is removed when the stream has passed every transaction that a chunk can have seen.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "cdc/base/lsn.h"

/* Sees no transaction: each change of a chunk with this snapshot applies. */
#define CHUNK_SNAPSHOT_OF_NONE "3:3:"
/*
 * The same, of a chunk that a sink with one writer is given (extend in sink.h): every change of it is
 * written, and its rows once more.
 */
#define CHUNK_SNAPSHOT_REPEATED "3:4:3"

/* How a table is divided. */
enum chunk_method {
    CHUNK_WHOLE,     /* it is one chunk */
    CHUNK_BY_KEY,    /* by the values of a column that the engine can order */
    CHUNK_BY_SOURCE, /* the same, where only the source can order them */
    CHUNK_BY_PAGES,  /* by its pages; all chunks are from one snapshot, so they are copied again together */
};

enum chunk_state {
    CHUNK_WAITS, /* the sink has none of its rows */
    /* the sink has rows in the range that are to be replaced; or, with a snapshot, written once more */
    CHUNK_DIRTY,
    CHUNK_COPIED,
};

struct chunk {
    uint32_t id;        /* in the plan, from 1 */
    oid_t relation_oid; /* at the source */
    const char *schema;
    const char *table;
    enum chunk_method method;
    /* The rest is NULL or 0 when the method does not need it. */
    const char *column;    /* the key's first column */
    oid_t column_type;     /* its type at the source */
    oid_t key_type;        /* the same, or for a domain its base type */
    const char *order_sql; /* that type by name, and a collation: (value)::order_sql has the source's order */
    const char *low;       /* the smallest value, as text; NULL: no bound */
    const char *high;      /* the first value that is too large; NULL: no bound */
    uint64_t bytes_estimate; /* on the source's disk */
    enum chunk_state state;
    const char *owned_sql; /* where a sink removes rows: see struct table */
    bool gets_key; /* the sink builds the table's primary key with it; of CHUNK_BY_PAGES: with the last one */
    bool is_added; /* to a running pipeline: see chunk_map */
    const char *snapshot; /* of a copied chunk: pg_current_snapshot() of the transaction that read it */
    uint64_t rows;        /* likewise: how many it has, for people; 0: not known */
};

/* The plan leaves it as it is: nothing of it is copied. */
static inline bool chunk_is_kept(const struct chunk *chunk) {
    return chunk->state == CHUNK_COPIED && chunk->snapshot != NULL &&
           strcmp(chunk->snapshot, CHUNK_SNAPSHOT_OF_NONE) == 0;
}

/* A copy. Everything lives in the arena of its reader or maker. */
struct chunk_plan {
    /* the snapshot at the slot's start: its transactions are not streamed, so each chunk must see them */
    const char *snapshot;
    const struct chunk
        *chunks;          /* the chunks of one table in the order of their ranges, one after the other */
    size_t count;         /* 0: there is no plan */
    const uint64_t *seen; /* xids of streamed transactions that a snapshot from now on must see */
    size_t seen_count;
    lsn_t read_lsn; /* where the source's WAL ended at the latest snapshot of a copied chunk; 0: none */
    /* Of a sink that has mark: the LSN of the rows that were copied last, and the index after theirs. */
    lsn_t row_lsn;
    uint64_t row_index;
};

static inline bool chunk_plan_has(const struct chunk_plan *plan, oid_t relation_oid) {
    for (size_t i = 0; i < plan->count; i++)
        if (plan->chunks[i].relation_oid == relation_oid)
            return true;
    return false;
}

/* What the engine did to the plan since the last commit; the sink stores it with the next one. */
struct chunk_note {
    const uint64_t *seen; /* see chunk_plan */
    size_t seen_count;
    uint64_t seen_below;   /* smaller ones are not needed any more */
    const uint32_t *dirty; /* ids of copied chunks that must be copied again; see CHUNK_DIRTY */
    size_t dirty_count;
    /* one chunk each of tables whose rows are to be removed; all their chunks must be copied again */
    const struct chunk *const *emptied;
    size_t emptied_count;
    bool is_finished; /* remove the plan, up to the chunk last_id */
    uint32_t last_id;
};
