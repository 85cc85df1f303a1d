/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_rows.h - rows of the initial copy as changes, for sinks that do not accept the bytes of COPY.
 *
 * Rows arrive in COPY's text format and leave as CHANGE_READ, a batch at a time. They are numbered from 0
 * through all tables, as if they were one transaction that commits at the slot's consistent point.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/position.h"
#include "cdc/base/slice.h"
#include "decoder/change.h"
#include "sinks/sink.h"

#define SNAPSHOT_ROWS_MAX 1024 /* per batch, or fewer rows of SNAPSHOT_BATCH_BYTES together */

struct snapshot_rows {
    struct sink *sink;
    struct transaction transaction;
    lsn_t lsn;
    uint64_t index;
    struct arena definition; /* the relation */
    struct arena values;     /* the batch */
    const struct relation *relation;
    size_t count;
    struct change changes[SNAPSHOT_ROWS_MAX];
};

/* position: of the copy. NULL when memory is exhausted. snapshot_rows_free accepts NULL. */
MUST_CHECK struct snapshot_rows *snapshot_rows_new(struct sink *sink, const struct position *position);
void snapshot_rows_free(struct snapshot_rows *rows);

/*
 * The rows that follow are written where the stream is at this position, and are numbered from index.
 */
void snapshot_rows_place(struct snapshot_rows *rows, const struct position *position, uint64_t index);

/* The rows that follow belong to this table; first writes the remaining rows of the previous one. */
MUST_CHECK bool snapshot_rows_begin(struct snapshot_rows *rows, const struct table *table, struct error *err);

/* One row, its newline included. */
MUST_CHECK bool snapshot_rows_add(struct snapshot_rows *rows, struct slice row, struct error *err);

/* Writes the remaining rows. */
MUST_CHECK bool snapshot_rows_write(struct snapshot_rows *rows, struct error *err);
