/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_expressions.h - which columns of a table are compared, and how a row is hashed on both sides.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/verify/verify_sides.h"
#include "sinks/table.h"

/* SQL over one side's table. */
struct verify_expression {
    const char *from;  /* the table and the publication's row filter */
    const char *row;   /* a bigint of all columns' texts */
    const char *key;   /* the same of the primary key; of the row where there is none */
    const char *shown; /* the columns that name a row to people, each cut to 1000 characters */
};

struct verify_expressions {
    struct verify_expression source;
    struct verify_expression target;
    const char *const *shown_names; /* the columns of shown */
    size_t shown_count;
    const char *missing; /* what the target lacks, so that nothing can be compared; else NULL */
    bool narrows; /* a column's type over there can change values, and what it makes of them is compared */
    /* the query that counts the source's rows that these change; NULL: none can be seen */
    const char *count_narrowed;
    const char *left_out; /* columns that are not compared, and why; else NULL */
};

/* Reads the target's definition of the table. The texts are in the arena. */
MUST_CHECK bool verify_expressions_prepare(struct verify_expressions *expressions, const struct table *table,
                                           struct verify_sides *sides, struct arena *arena,
                                           struct error *err);
