/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_counts.h - the changes that a sink has committed, by table and operation, since the process began.
 *
 * For people: the counts come from the runner's ledger, by which the run is checked. There is room for a
 * fixed number of tables; further ones are counted together. The sink's runner writes, any thread reads.
 */
#pragma once

#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/slice.h"
#include "decoder/relation.h"

/* READ: a row of a copy that is among the changes of an archive. */
enum table_op { TABLE_INSERT, TABLE_UPDATE, TABLE_DELETE, TABLE_TRUNCATE, TABLE_READ };

enum { TABLE_OPS = TABLE_READ + 1, TABLE_COUNTS_MAX = 256, TABLE_COUNT_NAME_MAX = 128 };

struct table_count {
    oid_t oid;                       /* at the source; 0: all tables that have no place of their own */
    char name[TABLE_COUNT_NAME_MAX]; /* schema.table there; "" for the others */
    atomic_ullong counts[TABLE_OPS];
};

struct table_counts {
    atomic_size_t count; /* of tables that are in use; each is complete before it is counted */
    struct table_count tables[TABLE_COUNTS_MAX];
    struct table_count others;
};

/* The table's place, or that of the others. The runner's thread, once for each table of an attempt. */
struct table_count *table_counts_find(struct table_counts *counts, oid_t oid, struct slice schema,
                                      struct slice name);

/* The runner's thread. */
static inline void table_count_add(struct table_count *table, enum table_op op, uint64_t count) {
    const uint64_t before = atomic_load_explicit(&table->counts[op], memory_order_relaxed);
    atomic_store_explicit(&table->counts[op], before + count, memory_order_relaxed);
}

/* "insert" */
const char *table_op_name(enum table_op op);
