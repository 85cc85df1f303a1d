/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_table.h - what the source's catalog says about a table's columns, read after its definition was
 * sent.
 *
 * A definition has names and types, but not the numbers that PostgreSQL gives to columns and never gives
 * again. So it does not show whether a column was renamed, or dropped and added. The catalog has the
 * numbers, of a later moment: what both agree on is certain.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/arena.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"

struct catalog_column {
    /* all texts are also NUL-terminated */
    struct slice name;
    struct slice
        sink_name;  /* by a mapping, its name in the sink, "": it has none; data NULL: no rule is about it */
    oid_t type_oid; /* of the source cluster */
    int32_t type_modifier;
    struct slice type_sql;      /* the type as DDL writes it */
    struct slice collation_sql; /* quoted and qualified; "": the type's own */
    /*
     * what rows have that are older than the column; data NULL: the server has noted nothing, see
     * has_default
     */
    struct slice missing;
    bool is_dropped;  /* nothing else is known about it */
    bool is_old;      /* it is as it was before the oldest transaction that the slot can send */
    bool has_default; /* now; so rows that were written when the column came may have got a value */
};

struct catalog_table {
    oid_t oid;
    struct slice schema; /* its name when the catalog was read */
    struct slice table;
    xid_t locked_by; /* a transaction that may have altered it and is not visible yet; 0: none */
    bool sends_part; /* some columns may not be sent: generated ones, or a publication's column list */
    /*
     * Names the table's files: other ones: it was rewritten, emptied, or divided. Then, unless it is
     * partitioned, a blank and the version of its columns' entries.
     */
    struct slice storage;
    uint32_t column_count;
    struct catalog_column *columns; /* by number, from 1; dropped ones too */
    /*
     * Its columns when the definition was sent, as the source's triggers have told them; NULL: they have not.
     * It has oid and columns, and of these no collation, and not how old they are.
     */
    const struct catalog_table *then;
};

struct catalog_tables {
    const struct catalog_table *tables; /* by oid */
    size_t count;
};

/* NULL when there is none. */
const struct catalog_table *catalog_tables_find(const struct catalog_tables *tables, oid_t oid);

/* A deep copy in arena; NULL when memory is exhausted. */
MUST_CHECK const struct catalog_table *catalog_table_copy(const struct catalog_table *table,
                                                          struct arena *arena);

/* Of two storages of a table: */
bool catalog_storage_has_same_files(struct slice before, struct slice now);
/*
 * Was it written anew by a statement that may have changed values, as ALTER TABLE ... TYPE ... USING? VACUUM
 * FULL, CLUSTER and TRUNCATE change files only, other ALTER TABLE columns only.
 */
bool catalog_storage_is_rewritten(struct slice before, struct slice now);

/* Do they describe the same columns? How old they are does not matter. Each may be NULL. */
bool catalog_table_equal(const struct catalog_table *a, const struct catalog_table *b);
