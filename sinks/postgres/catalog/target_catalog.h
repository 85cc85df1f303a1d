/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_catalog.h - what the target's catalog says of some tables, for target_table.c.
 *
 * Planning the questions takes the server far longer than answering them, so they are asked for many tables
 * at once. Tables have places, from 1 on, in the order in which they were asked for.
 */
#pragma once

#include <stddef.h>

#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "decoder/relation.h"

/* The columns of each answer. */
/* TABLE_TAKERS and the two behind it: triggers that may take an insert, an update, a delete away. */
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
    PGresult *tables;  /* one row for each place; TABLE_OID is NULL when there is no such table */
    PGresult *columns; /* by place, then in the table's order */
    PGresult *keys;    /* by place, then the best first; NULL when no relation's identity is full */
    PGresult *indexed; /* the same */
};

/* Rows first..end-1 of an answer. */
struct row_range {
    int first;
    int end;
};

/* Not in a pipeline. Release it also when this fails; a zeroed one will do, too. */
MUST_CHECK bool target_catalog_read(struct target_catalog *catalog, struct session *session,
                                    const struct relation *const *relations, size_t count, struct error *err);
void target_catalog_release(struct target_catalog *catalog);

/* The rows of one place in columns, keys or indexed. */
struct row_range target_catalog_rows(const PGresult *result, size_t place);

/* Only catalog->tables. */
MUST_CHECK bool target_catalog_read_tables(struct session *session, const struct relation *const *relations,
                                           size_t count, PGresult **ret_tables, struct error *err);

/*
 * One row with the quoted name of one of the tables, or of a partition of it, that is unlogged; none when
 * there is none.
 */
MUST_CHECK bool target_catalog_find_unlogged(struct session *session, const struct relation *const *relations,
                                             size_t count, PGresult **ret_name, struct error *err);
