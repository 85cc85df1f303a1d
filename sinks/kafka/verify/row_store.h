/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_store.h - entries of one size, in parts by their keys, in temporary files beyond some megabytes.
 *
 * All entries of a key are in one part. Only one part is read into memory at a time, so a pass over any
 * number of rows needs the memory of a part of them.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/spill.h"

enum { ROW_STORE_PARTS = 64 };

/* Begins each entry: two hashes of the row's key. */
struct row_key {
    uint64_t words[2];
};

struct row_store {
    struct spill parts[ROW_STORE_PARTS];
    size_t entry_bytes; /* a multiple of 8 */
};

void row_store_init(struct row_store *store, size_t entry_bytes);

/* Accepts a zeroed one. */
void row_store_release(struct row_store *store);

MUST_CHECK bool row_store_add(struct row_store *store, const struct row_key *entry, struct error *err);

/* Moves all entries of the part into the empty buffer. */
MUST_CHECK bool row_store_take(struct row_store *store, int part, struct buffer *entries, struct error *err);

static inline int row_key_compare(const struct row_key *a, const struct row_key *b) {
    if (a->words[0] != b->words[0])
        return a->words[0] < b->words[0] ? -1 : 1;
    return (a->words[1] > b->words[1]) - (a->words[1] < b->words[1]);
}

/* Of the bytes of a key. */
struct row_key row_key_of(struct slice bytes);
