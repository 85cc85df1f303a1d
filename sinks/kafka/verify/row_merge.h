/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_merge.h - the records of a key, carried out in their order, beside the row of the source.
 */
#pragma once

#include "sinks/difference.h"
#include "sinks/kafka/verify/record_rows.h"

enum row_state {
    ROW_EQUAL,
    ROW_DIFFERS,
    ROW_UNPROVEN,  /* a value that an update left unchanged is in no record */
    ROW_UNSETTLED, /* the same pass with more columns apart decides */
};

/* A key, on both sides. */
struct row_pair {
    int64_t key;
    struct difference_sum source;
    struct difference_sum target;
    enum row_state state;
    bool has_records; /* some, whatever they say */
    /* of a row that is on both sides: the columns that are kept apart differ; NULL: not asked for */
    const bool *differs;
};

typedef bool row_pair_taker(void *context, const struct row_pair *pair, struct error *err);

struct row_merge {
    const struct image_layout *layout;
    struct record_place truncated;
    row_pair_taker *take;
    void *context;
    uint64_t duplicate; /* grows */
    /* The rest is the merge's own. */
    struct buffer source;
    struct buffer records;
    struct buffer places;
    uint64_t *apart; /* three rows of the layout's columns */
    bool *differs;
};

/* Release it in any case. */
MUST_CHECK bool row_merge_init(struct row_merge *merge, const struct image_layout *layout, struct error *err);
void row_merge_release(struct row_merge *merge);

/* One part of both stores. */
MUST_CHECK bool row_merge_part(struct row_merge *merge, struct row_store *source, struct row_store *records,
                               int part, struct error *err);
