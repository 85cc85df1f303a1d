/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_table.h - one table of the comparison, narrowed from the whole to buckets to rows.
 *
 * A row's hash is that of its columns' texts under our pinned settings; a row's key is the hash of its
 * primary key, or the row's own where there is none. Keys, counts and sums of hashes leave the databases,
 * rows do not.
 */
#pragma once

#include "cdc/verify/verify_difference.h"
#include "cdc/verify/verify_expressions.h"
#include "cdc/verify/verify_sides.h"
#include "sinks/table.h"

enum verify_result {
    VERIFY_UNDECIDED,
    VERIFY_EQUAL,
    VERIFY_NARROWED, /* nothing differs but by what the target's narrower types may have made of values */
    VERIFY_PARTIAL,  /* nothing differs, but columns were left out that only the source generates */
    VERIFY_DIFFERENT,
    VERIFY_MISSING, /* the target lacks the table or columns of it */
    VERIFY_MOVING,  /* rows that changed in every round, so nothing was proved */
};

struct verify_table {
    const struct table *table;
    struct verify_expressions expressions;
    enum verify_result result;
    uint64_t source_rows; /* when the whole was compared */
    uint64_t target_rows;
    uint64_t narrowed_rows; /* of the source, then: rows with a value whose text the target's type changes */
    int64_t bucket_mask;
    struct verify_differences rows;    /* by key */
    struct verify_differences buckets; /* differing ones too large to look into */
    struct verify_differences picked;  /* the rows whose keys are shown, and what was read of them */
    struct verify_answers picked_rows;
    bool keys_are_read;
};

void verify_table_release(struct verify_table *compared);

/* Compares the whole, then what differs of it; the rows and buckets that differ are left in the struct. */
MUST_CHECK bool verify_table_compare(struct verify_table *compared, struct verify_sides *sides,
                                     struct error *err);

/*
 * Looks again at what differed the last time and only at that: what was equal once is settled. A difference
 * that is exactly what it was grows its streak.
 */
MUST_CHECK bool verify_table_compare_again(struct verify_table *compared, struct verify_sides *sides,
                                           struct error *err);

/*
 * Copies count_max of the rows that differ at most, each by its key, and looks for more in the buckets where
 * there are not as many. Only what differed in streak_min rounds. In the snapshots of the last comparison.
 */
MUST_CHECK bool verify_table_pick(const struct verify_table *compared, struct verify_sides *sides,
                                  size_t count_max, unsigned int streak_min,
                                  struct verify_differences *ret_picked, struct error *err);

static inline bool verify_table_is_settled(const struct verify_table *compared) {
    return compared->rows.count == 0 && compared->buckets.count == 0;
}
