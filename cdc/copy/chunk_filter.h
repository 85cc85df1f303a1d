/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_filter.h - the stream's changes without those that the chunks of a copy contain.
 *
 * A change is applied iff its chunk is copied and the chunk's snapshot does not see its transaction. For one
 * row the versions that a snapshot sees are a prefix of its history, and the rest comes in commit order. So
 * each UPDATE and DELETE that is applied meets exactly the version that it was made on.
 *
 * An UPDATE that moves a row to another chunk becomes a DELETE or an INSERT when only one of the two applies.
 * When the INSERT lacks a value that the UPDATE left unchanged, the row's chunk is copied again.
 *
 * Used by the runner's thread. Batches are shared, so it writes into changes of its own.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/copy/chunk_map.h"
#include "decoder/change.h"
#include "sinks/chunk.h"

/* A chunk that a transaction made dirty; held until that transaction is committed in the sink. */
struct filter_reset {
    struct map_chunk *chunk;
    lsn_t commit_lsn;
    bool is_table; /* all chunks of its table, and the table's rows go */
};
enum { FILTER_PLACE_UNKNOWN = UINT32_MAX };

struct chunk_filter {
    struct chunk_map *map;
    struct change *kept; /* of the last chunk_filter_take */
    size_t kept_count, kept_capacity;
    struct arena arena;                    /* what the changed ones of them point to */
    const struct transaction *transaction; /* of the last change */
    uint64_t xid;
    bool is_noted; /* the transaction is in seen */
    /* For the next chunk_note. */
    uint64_t *seen;
    size_t seen_count, seen_capacity;
    struct filter_reset *resets; /* in commit order */
    size_t reset_count, reset_capacity;
    /* from the first resets, for the note; reset_capacity of each */
    uint32_t *dirty;
    const struct chunk **emptied;
    size_t noted_resets; /* how many are in the last note */
    /* Where the source puts keys (chunk_asker.h): two for each of expected_count changes, old and new. */
    const struct change *expected;
    size_t expected_count;
    uint32_t *places; /* index of a chunk in its table */
    /* of each table of the map, as chunk_filter_kept_lsn says it */
    lsn_t *kept_lsns;
    /* Where the key's first column is, in the definition that was used last. */
    const struct relation *relation;
    const struct map_table *table; /* NULL: the relation is not being copied */
    uint32_t column;
};

/*
 * changes_max: of one chunk_filter_take. NULL when memory is exhausted. map outlives it. chunk_filter_free
 * accepts NULL.
 */
MUST_CHECK struct chunk_filter *chunk_filter_new(struct chunk_map *map, size_t changes_max);
void chunk_filter_free(struct chunk_filter *filter);

/*
 * Filters changes, at most changes_max, into filter->kept, which is valid until the next call. Stops
 * before a change that must wait until *ret_awaited is copied; NULL: there was none. *ret_taken counts the
 * changes before it, omitted ones included.
 */
MUST_CHECK bool chunk_filter_take(struct chunk_filter *filter, const struct change *changes, size_t count,
                                  size_t *ret_taken, const struct map_chunk **ret_awaited, struct error *err);

/* Where the last transaction commits of which a row or a TRUNCATE of the table was kept; 0: there is none. */
lsn_t chunk_filter_kept_lsn(const struct chunk_filter *filter, oid_t oid);

/* The keys of a change that only the source can order; table is NULL when there are none. */
struct filter_keys {
    const struct map_table *table;
    const struct value *values[2]; /* of the old and of the new row; NULL: none */
};

/* ERROR_NEEDS_TEXT when a key is binary and the source is asked in text. */
MUST_CHECK bool chunk_filter_keys(struct chunk_filter *filter, const struct change *change,
                                  struct filter_keys *ret_keys, struct error *err);

/* filter->places is for these changes, and unknown. */
void chunk_filter_expect(struct chunk_filter *filter, const struct change *changes, size_t count);

/*
 * What the sink must store with its next commit, which is at end_lsn. False: nothing. It points into the
 * filter. A chunk that a later transaction made dirty is not in it: a copier would replace its rows while
 * that transaction's changes are not committed, and would not see them.
 */
bool chunk_filter_has_note(struct chunk_filter *filter, lsn_t end_lsn, struct chunk_note *ret_note);

/* The note is committed. */
void chunk_filter_forget_note(struct chunk_filter *filter);
