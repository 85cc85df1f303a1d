/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awaited_columns.h - the columns of tables whose chunks wait until the sink's tables have them.
 *
 * While a chunk waits, the changes of its rows are left out, so the stream may bring no definition of its
 * table to the sink. So a copier reads the columns in the catalog, under a lock on the table, and the runner
 * tells them to the sink once the stream has passed the place where they were in force.
 *
 * Every call takes the lock, and none waits for a server.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/base/arena.h"
#include "decoder/catalog_table.h"
#include "decoder/relation.h"
#include "sinks/table.h"

struct awaited_table {
    struct arena arena;
    const struct relation *relation; /* with the catalog's numbers; it lives as long as the list */
    lsn_t lsn;                       /* where the table had these columns */
    bool is_taken;                   /* by the runner */
    bool is_told;
    struct awaited_table *next;
};

struct awaited_columns {
    pthread_mutex_t lock;
    struct awaited_table *first;
    atomic_uint waiting_count;
};

void awaited_columns_init(struct awaited_columns *awaited);
void awaited_columns_release(struct awaited_columns *awaited);

/* ---- copiers ---- */

/* Are columns of the table there that the runner has yet to look at? */
bool awaited_columns_has(struct awaited_columns *awaited, oid_t oid);

/* Has the runner told columns of the table? */
bool awaited_columns_is_told(struct awaited_columns *awaited, oid_t oid);

/* Copies both; catalog has the same columns. False: memory is exhausted. */
MUST_CHECK bool awaited_columns_add(struct awaited_columns *awaited, const struct table *table,
                                    const struct catalog_table *catalog, lsn_t lsn, struct error *err);

/* ---- the runner ---- */

/* Columns that were in force at or before passed_lsn, or NULL. To be ended. */
struct awaited_table *awaited_columns_take(struct awaited_columns *awaited, lsn_t passed_lsn);

/* is_told: the sink has committed what it did. */
void awaited_columns_end(struct awaited_columns *awaited, struct awaited_table *table, bool is_told);
