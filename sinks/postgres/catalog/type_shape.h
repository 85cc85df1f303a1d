/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_shape.h - the types of a target table's columns, with domains and arrays resolved.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "sinks/postgres/catalog/type_fit.h"

/* The columns of the answer; a row for each column of the table, ordered by the table's place and attnum. */
enum {
    SHAPE_PLACE,
    SHAPE_COLUMN,
    SHAPE_SCHEMA,
    SHAPE_NAME,
    SHAPE_BASE_SCHEMA,
    SHAPE_BASE_NAME,
    SHAPE_IS_ARRAY,
    SHAPE_MODIFIER,
    SHAPE_IS_ENUM,
    SHAPE_SQL, /* the column's type as DDL writes it */
    /* for a domain its base type with the domain's modifier; else the same */
    SHAPE_BASE_SQL,
};

/* oids: the text of an array; a table's place is its position in it, from 1. Not in a pipeline. */
MUST_CHECK bool type_shapes_read(struct session *session, const char *oids, PGresult **ret_shapes,
                                 struct error *err);

/* For one table, by name. */
MUST_CHECK bool type_shapes_read_table(struct session *session, const char *schema, const char *name,
                                       PGresult **ret_shapes, struct error *err);

/* The row of a column among first..end-1, or -1. */
int type_shapes_find(const PGresult *shapes, int first, int end, struct slice column);

/* The result is valid as long as the answer. */
struct type_shape type_shape_of_row(const PGresult *shapes, int row);
