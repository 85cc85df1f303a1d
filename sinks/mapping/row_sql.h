/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_sql.h - what the expressions of a table make of changes: which pass, and the values of computed
 * columns.
 *
 * A condition is a function of a row, so an update by which it becomes true is an INSERT for the sink, and
 * one by which it becomes false is a DELETE. Null counts as false.
 *
 *     row_sql_add (each change of a table) -> row_sql_run -> row_sql_fate, row_sql_new (each of them)
 */
#pragma once

#include "sinks/mapping/table_expressions.h"

enum row_fate {
    ROW_PASSES, /* as it is */
    ROW_IS_OUT, /* nothing happens in the sink */
    ROW_ENTERS, /* an update that is an INSERT for the sink */
    ROW_LEAVES, /* an update that is a DELETE for the sink */
};

/* One change. */
struct row_sql {
    const struct change *change;
    struct evaluator_row old, new; /* values NULL: there is no such row */
    struct value *new_values;      /* those of new, and after them the results */
    uint64_t unchanged;            /* expressions of which no input was sent */
    uint64_t mixed;                /* expressions of which some inputs were not sent, and are not known */
    struct row_sql *next;
};

/* The changes of one table in their order. */
struct row_sql_list {
    struct row_sql *first, *last;
    size_t count;
};

/*
 * wanted_of_key: the expressions that are wanted of an old row that is only a key. Everything is in arena.
 * ERROR_NEEDS_TEXT: an input is in a binary format. ERROR_DATA: the condition needs a value that an update
 * did not send.
 */
MUST_CHECK bool row_sql_add(struct row_sql_list *list, const struct table_map *map,
                            const struct change *change, uint64_t wanted_of_key, struct arena *arena,
                            struct row_sql **ret_row, struct error *err);

/* Computes all of the list, and empties it. ERROR_DATA names rule, column, table and the key's columns. */
MUST_CHECK bool row_sql_run(struct row_sql_list *list, struct evaluator *evaluator,
                            const struct table_map *map, struct arena *arena, struct error *err);

enum row_fate row_sql_fate(const struct row_sql *row, const struct table_map *map);

/*
 * The source's new values and after them the results, for a row with this fate. ERROR_DATA: something that
 * the sink needs was not sent.
 */
MUST_CHECK bool row_sql_new(struct row_sql *row, const struct table_map *map, enum row_fate fate,
                            const struct value **ret_values, struct error *err);

/* The same of many rows that are there, as those of a copy: values have room for the results. */
MUST_CHECK bool row_sql_run_rows(struct evaluator *evaluator, const struct table_map *map,
                                 struct evaluator_row *const *rows, size_t count, struct arena *arena,
                                 struct error *err);

/* Everything that the table has. */
uint64_t row_sql_wanted(const struct table_expressions *expressions);
