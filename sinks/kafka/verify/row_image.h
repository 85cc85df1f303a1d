/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_image.h - what is compared of a row: hashes of its values.
 *
 * The hash of a row is the sum of those of its values, and a null adds nothing. So a row that was written
 * before a column was added is equal to one in which the column is null.
 *
 * An update does not send a large value that it left unchanged. Columns in which that happened are kept
 * apart, each with a hash of its own, so that the value of an earlier record can take the place.
 */
#pragma once

#include "sinks/kafka/verify/row_store.h"
#include "sinks/kafka/verify/topic_table.h"

/* In place of a value's hash, of columns that are kept apart. */
enum {
    IMAGE_NULL = 0,
    IMAGE_UNCHANGED = 1,
    IMAGE_PERHAPS = 2, /* null, or unchanged: the format writes both in the same way */
    IMAGE_HASH_MIN = 8,
};

struct image_layout {
    const struct topic_table *table;
    uint32_t apart_count;
    int32_t *slots; /* by compared column: its place among those that are kept apart, or -1 */
    bool *lacks;    /* by compared column: a value was, or may have been, unchanged */
};

struct row_image {
    uint64_t hash;      /* without the columns that are kept apart */
    struct row_key key; /* of a table without a key: the whole row */
    bool is_partial;    /* another value is unchanged */
    bool is_doubtful;   /* or may be */
};

/* Release it in any case. */
MUST_CHECK bool image_layout_init(struct image_layout *layout, const struct topic_table *table,
                                  struct error *err);
void image_layout_release(struct image_layout *layout);

/* Keeps those columns apart, at most so many, that lack values; or all columns. */
void image_layout_part(struct image_layout *layout, uint32_t count_max, bool all);

/* A row of a message or of the source. */
struct image_row {
    const struct relation *relation;
    const struct value *values;
    const struct value *old_values; /* in which an unchanged value is looked up; NULL: none */
    bool may_lack;                  /* it may have unchanged values */
};

/* apart: room for layout->apart_count numbers. */
void row_image_make(const struct image_layout *layout, const struct image_row *row,
                    struct row_image *ret_image, uint64_t *apart);
