/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier_work.h - what the files of a copier share: its state, and the steps that more than one of them
 * needs. All of it runs on the copier's thread.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/xid_snapshot.h"
#include "cdc/copy/copier.h"
#include "cdc/copy/copy_bytes.h"
#include "cdc/pq/session.h"

struct copier {
    struct copiers *copiers;
    struct session source;
    struct sink *sink; /* of this copier */
    struct copy_bytes bytes;
    const struct copier_table *prepared; /* the table of the last chunk */
    struct table table;                  /* the same; its columns are in arena */
    struct arena arena;
    enum copy_format format;
    /* Of the current chunk. */
    struct map_chunk *chunk;
    char *snapshot; /* its text */
    lsn_t read_lsn;
    int64_t read_ms; /* when the snapshot was taken */
    bool is_locked;  /* its table is, by another session */
    bool awaits;     /* the sink's table has other columns */
    uint64_t rows;
    uint64_t shown_rows, shown_bytes; /* moved since the progress was told */
    int64_t said_locked_ms;           /* when that was logged last; 0: never */
    int64_t says_awaits_ms;           /* when that is logged next; 0: nothing waits */
};

/* ---- copier.c ---- */

MUST_CHECK bool copier_open_source(struct copier *copier, struct error *err);

/* ---- copier_snapshot.c ---- */

/* In a transaction of the source. Sets is_locked if another session holds the table. */
MUST_CHECK bool copier_lock_table(struct copier *copier, const struct table *table, struct error *err);

/* ERROR_RETRY if the table is not as the attempt has read it: the next attempt reads it again. */
MUST_CHECK bool copier_check_definition(struct copier *copier, const struct copier_table *known,
                                        struct error *err);

/* The end of the record that ends at or before the LSN, with the page headers that follow it. */
lsn_t copier_record_end(const struct copier *copier, lsn_t lsn);

/* Of the open transaction; sets snapshot, read_lsn and read_ms. The caller releases *ret_snapshot. */
MUST_CHECK bool copier_read_snapshot(struct copier *copier, struct xid_snapshot *ret_snapshot,
                                     struct error *err);

/*
 * Begins a transaction whose snapshot the map accepts, with the table locked. table: NULL when the source has
 * no such table any more.
 */
MUST_CHECK bool copier_find_snapshot(struct copier *copier, const struct copier_table *table,
                                     struct error *err);

MUST_CHECK bool copier_read_flush_lsn(struct copier *copier, lsn_t *ret_lsn, struct error *err);

/* Until the source's disk has all that the chunk may have seen. */
MUST_CHECK bool copier_wait_flushed(struct copier *copier, struct error *err);

/* ---- copier_columns.c ---- */

/* ERROR_RETRY, and sets awaits, while the sink's table has not the columns that the source's has. */
MUST_CHECK bool copier_check_columns(struct copier *copier, const struct copier_table *known,
                                     struct error *err);

/* ---- copier_share.c: tables whose chunks share a snapshot ---- */

/* Of the table of the current chunk. */
struct copier_share *copier_share_of(const struct copier *copier);

/* The session becomes the holder's, idle with the snapshot, and the copier gets another one. */
MUST_CHECK bool copier_export_snapshot(struct copier *copier, struct copier_share *share, struct error *err);

MUST_CHECK bool copier_import_snapshot(struct copier *copier, struct error *err);

/* ---- copier_waits.c ---- */

/* Waits until the chunk's table, which was added to the plan, is published: then ERROR_RETRY. */
MUST_CHECK bool copier_await_publication(struct copier *copier, const struct chunk *chunk, struct error *err);

/* False: err is about something else than what a chunk waits for. */
MUST_CHECK bool copier_put_off(struct copier *copier, const struct error *err);
