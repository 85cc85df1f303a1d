/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_table.h - the comparison of one table, narrowed from the whole to buckets to rows.
 *
 * A row's hash is that of its columns' texts under our pinned settings. A row's key is the hash of its
 * primary key, or the row's hash if there is none. Keys, counts and sums of hashes leave the databases; rows
 * do not.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/verify/verify_sides.h"
#include "sinks/comparison.h"

enum verify_result {
    VERIFY_UNDECIDED,
    VERIFY_EQUAL,
    VERIFY_NARROWED, /* equal, except for values that the target's narrower types may have changed */
    VERIFY_PARTIAL,  /* equal, but columns generated only at the source were left out */
    VERIFY_DIFFERENT,
    VERIFY_MISSING, /* the target lacks the table, or columns of it */
    VERIFY_MOVING,  /* rows changed in every round, so nothing is proved */
    VERIFY_COPYING, /* the target has not got all of its rows yet */
};

/* Some of the rows that differ, and the values that name them. */
struct verify_key_set {
    struct differences picked;
    struct comparison_row *rows; /* in the arena, one for each picked; NULL: not read */
    struct arena arena;
};

struct verify_table {
    const struct table *table;
    const struct comparison_table *comparison;
    enum verify_result result;
    uint64_t source_rows; /* at the comparison of the whole table */
    uint64_t target_rows;
    int64_t source_hash; /* of these rows (sinks/difference.h) */
    int64_t target_hash;
    uint64_t narrowed_rows; /* at the source then: rows with a value whose text the target's type changes */
    struct comparison_faults faults; /* of the target's records then */
    int64_t bucket_mask;
    struct differences rows;    /* by key */
    struct differences buckets; /* buckets that differ and are too large to narrow */
    const char *where_sql;      /* only rows for which it is true, on each side; or NULL */
    const struct chunk *ranges; /* parts of its key that are compared one by one; NULL: the whole */
    size_t range_count;         /* at least 1 */
    size_t range;               /* that is compared now; rows and buckets are of it */
    bool *range_differs;
    struct difference_counts counts; /* of the ranges that are settled */
    bool is_inexact;                 /* counts are lower bounds */
    bool *column_differs;            /* by the index of column_names: in a row that both sides have */
    bool columns_are_known;
    struct verify_key_set *key_sets;
    size_t key_set_count;
    size_t key_count; /* in all of them */
    bool keys_are_read;
    bool is_looked_into; /* for its columns and keys */
    lsn_t lsn;           /* the target's, at the last comparison */
};

void verify_table_release(struct verify_table *compared);

/*
 * Locks the table on both sides against other definitions, until the snapshots end. *ret_whole: it was not
 * rewritten, truncated or divided otherwise since they were taken; else they do not show its rows.
 */
MUST_CHECK bool verify_table_hold(const struct verify_table *compared, struct verify_sides *sides,
                                  bool *ret_whole, struct error *err);

/* Finds the columns whose values differ in some of the current rows. In the snapshots of the comparison. */
MUST_CHECK bool verify_table_find_columns(struct verify_table *compared, struct verify_sides *sides,
                                          struct error *err);

/* Reads the rows of the picked keys, in the snapshots of the comparison. */
MUST_CHECK bool verify_table_read_rows(const struct verify_table *compared, struct verify_sides *sides,
                                       struct verify_key_set *set, struct error *err);

/* Adds what differs in the current range to the counts, and forgets the rows. */
void verify_table_settle(struct verify_table *compared);

/* Compares the current range, then narrows it; the rows and buckets that differ are left in the struct. */
MUST_CHECK bool verify_table_compare(struct verify_table *compared, struct verify_sides *sides,
                                     struct error *err);

/*
 * Compares again only what differed the last time; a row that was equal once is settled. The streak of a
 * difference that is exactly the same grows.
 */
MUST_CHECK bool verify_table_compare_again(struct verify_table *compared, struct verify_sides *sides,
                                           struct error *err);

/*
 * Copies at most count_max of the rows that differ, each by its key; if there are fewer, reads more from the
 * buckets that differ. Only rows that differed in streak_min rounds. In the snapshots of the last comparison.
 */
MUST_CHECK bool verify_table_pick(const struct verify_table *compared, struct verify_sides *sides,
                                  size_t count_max, unsigned int streak_min, struct differences *ret_picked,
                                  struct error *err);

/* The table is not equal then, whatever its rows are. */
static inline bool verify_table_has_faults(const struct verify_table *compared) {
    return compared->faults.duplicate + compared->faults.foreign + compared->faults.uncounted > 0;
}

static inline bool verify_table_is_settled(const struct verify_table *compared) {
    return compared->rows.count == 0 && compared->buckets.count == 0;
}
