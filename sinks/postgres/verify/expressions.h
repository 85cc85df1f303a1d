/* SPDX-License-Identifier: Apache-2.0 */
/*
 * expressions.h - which columns of a table are compared, and how both sides hash a row.
 */
#pragma once

#include "cdc/base/arena.h"
#include "sinks/comparison.h"
#include "sinks/mapping/source_names.h"
#include "sinks/postgres/verify/compared_table.h"
#include "sinks/postgres/verify/stage.h"
#include "sinks/postgres/verify/target_comparison.h"

/* SQL over one side's table. */
struct expression {
    const char *from;    /* the table and the publication's row filter */
    bool is_filtered;    /* from ends with a condition */
    const char *row;     /* a bigint hash of all columns' texts */
    const char *key;     /* a bigint hash of the primary key, or of the row if there is none */
    const char *shown;   /* the columns that identify a row for people, each cut to 1000 characters */
    const char *columns; /* a hash of each compared column */
    const char *weight;  /* how many rows one of the query is, which may be negative; NULL: one */
};

/* The queries have the columns, their types, the publication's filter and whatever changes a value. */
enum { EXPRESSIONS_TEXTS = 13 };

struct expressions {
    struct comparison_table table;
    struct compared_table compared;
    struct expression source; /* of the temporary table, when it is staged */
    struct expression target;
    const char *source_from;    /* the source's own table */
    const char *target_divider; /* the target's name of the column of ranges */
    bool is_staged;
    struct staged_table staged;
    /* query for the number of source rows that narrowing changes; NULL: none can be detected */
    const char *count_narrowed;
    const char *definition[EXPRESSIONS_TEXTS];
};

/* Of a table with a rule; sink: for messages. */
static inline struct source_names expressions_names(const struct expressions *expressions, const char *sink) {
    return (struct source_names) {.map = &expressions->compared.map,
                                  .source = expressions->compared.source,
                                  .mapped = &expressions->compared.table,
                                  .sink = sink};
}

/* Reads the target's definition of the table. The texts are in the arena. */
MUST_CHECK bool expressions_prepare(struct expressions *expressions, const struct table *table,
                                    struct target_comparison *comparison, struct arena *arena,
                                    struct error *err);
