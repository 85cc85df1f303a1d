/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expressions.h - which columns of a table are compared, and how both sides hash a row.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/verify/verify_sides.h"
#include "sinks/table.h"

/* SQL over one side's table. */
struct verify_expression {
    const char *from;    /* the table and the publication's row filter */
    bool is_filtered;    /* from ends with a condition */
    const char *row;     /* a bigint hash of all columns' texts */
    const char *key;     /* a bigint hash of the primary key, or of the row if there is none */
    const char *shown;   /* the columns that identify a row for people, each cut to 1000 characters */
    const char *columns; /* a hash of each compared column */
};

struct verify_expressions {
    struct verify_expression source;
    struct verify_expression target;
    const char *const *shown_names; /* the columns of shown */
    size_t shown_count;
    const char *const *column_names; /* of columns, and of those left out NULL */
    size_t column_count;
    oid_t divider_type;  /* the target's type of the primary key's first column; 0: it has none */
    const char *missing; /* why nothing can be compared: a table or column that the target lacks; else NULL */
    bool narrows;        /* a column's type at the target can change values; its result is compared */
    /* query for the number of source rows that narrowing changes; NULL: none can be detected */
    const char *count_narrowed;
    const char *left_out; /* columns that are not compared, and why; else NULL */
};

/* Reads the target's definition of the table. The texts are in the arena. */
MUST_CHECK bool verify_expressions_prepare(struct verify_expressions *expressions, const struct table *table,
                                           struct verify_sides *sides, struct arena *arena,
                                           struct error *err);
