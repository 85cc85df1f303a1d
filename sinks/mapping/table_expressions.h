/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_expressions.h - the condition of a table's rows and the columns that SQL computes, proven and ready.
 *
 * A condition needs columns of old rows, and so does a column that is computed from values of which an update
 * sends only some. What can be known from the table is checked here, before a row is.
 */
#pragma once

#include "sinks/mapping/evaluator.h"
#include "sinks/mapping/expression.h"
#include "sinks/mapping/table_map.h"

/* One bit each, and one for the condition. */
enum { EXPRESSIONS_MAX = 62 };

struct table_expressions {
    const char *signature; /* everything from which it was made */
    struct table_expressions *next;
    const struct expression *where; /* NULL: all rows pass */
    const struct expression *items; /* of columns: mapped_column.expression is the number, from 1 */
    size_t count;
    const uint32_t *inputs; /* the source's columns that any of them uses */
    uint32_t input_count;
    const char *query;     /* of evaluator_run */
    const char *key_names; /* of the identity's columns, for errors; "" for none */
};

/*
 * Proves what the map's rule has, if anything, and sets map->expressions and the types of computed columns.
 * The expressions live as long as the evaluator's session; the same table is proven once. mapped: as the sink
 * gets it. ERROR_CONFIG: an expression that the server does not accept, or that needs more of old rows than
 * the replica identity sends.
 */
MUST_CHECK bool table_expressions_of_relation(struct evaluator *evaluator, const struct relation *relation,
                                              struct table_map *map, const struct relation *mapped,
                                              struct error *err);
MUST_CHECK bool table_expressions_of_table(struct evaluator *evaluator, const struct table *table,
                                           struct table_map *map, const struct table *mapped,
                                           struct error *err);
