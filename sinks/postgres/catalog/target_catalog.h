/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_catalog.h - reads the target's catalog for several tables, for target_table.c.
 *
 * The server needs far longer to plan the queries than to answer them, so each is for many tables at once. A
 * table's place is its number, from 1, in the order of the request.
 */
#pragma once

#include <stddef.h>

#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/relation.h"

/* The columns of each answer. */
/* TABLE_TAKERS and the two columns after it: triggers that may suppress an insert, an update, a delete. */
enum {
    TABLE_OID,
    TABLE_KIND,
    TABLE_REPLICA,
    TABLE_ORDINARY,
    TABLE_CASCADES,
    TABLE_CHECKS,
    TABLE_RULES,
    TABLE_UNLOGGED,
    TABLE_TAKERS
};
enum {
    COLUMN_PLACE,
    COLUMN_NAME,
    COLUMN_TYPE,
    COLUMN_ARRAY,
    COLUMN_DELIMITER,
    COLUMN_GENERATED,
    COLUMN_ALWAYS,
    COLUMN_EQUALS,
    COLUMN_RECEIVES,
    COLUMN_COMPARES,
    COLUMN_FOLDS,
    COLUMN_HOLDS_ROW,
    COLUMN_MODIFIER,
    COLUMN_SIZE,
};
enum { KEY_PLACE, KEY_INDEX, KEY_COLUMN };
enum { INDEXED_PLACE, INDEXED_COLUMN };

struct target_catalog {
    PGresult *tables;  /* one row for each place; TABLE_OID is NULL when the table is missing */
    PGresult *columns; /* by place, then in the table's order */
    PGresult *keys;    /* by place, the best key first; NULL when no relation has replica identity full */
    PGresult *indexed; /* the same */
};

/* Rows first..end-1 of an answer. */
struct row_range {
    int first;
    int end;
};

/* Not in a pipeline. Release it also after a failure; target_catalog_release accepts a zeroed one. */
MUST_CHECK bool target_catalog_read(struct target_catalog *catalog, struct session *session,
                                    const struct relation *const *relations, size_t count, struct error *err);
void target_catalog_release(struct target_catalog *catalog);

/* The rows of one place in columns, keys or indexed. */
struct row_range target_catalog_rows(const PGresult *result, size_t place);

/* Reads only catalog->tables. */
MUST_CHECK bool target_catalog_read_tables(struct session *session, const struct relation *const *relations,
                                           size_t count, PGresult **ret_tables, struct error *err);

/* One row with the quoted name of an unlogged table or partition among the relations, or no row. */
MUST_CHECK bool target_catalog_find_unlogged(struct session *session, const struct relation *const *relations,
                                             size_t count, PGresult **ret_name, struct error *err);
