/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_map.h - a table of the source as a sink gets it: its name there, and from where each column comes.
 *
 * Made from a rule and the columns that the table has now: of the stream's relation, or of the catalog. Both
 * give the same columns in the same order: those of the source that are not dropped, then those that the
 * rule adds.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "decoder/relation.h"
#include "sinks/mapping/match.h"
#include "sinks/mapping/rule.h"
#include "sinks/table.h"

enum { COLUMN_ADDED = -1 };

struct mapped_column {
    int32_t from;                   /* index among the source's columns; COLUMN_ADDED: the rule adds it */
    const struct column_rule *rule; /* NULL: as it is */
    uint32_t expression; /* its number among those of the table's columns, from 1; 0: it has none */
};

struct table_expressions;

/* Everything is in the arena with which it was made. */
struct table_map {
    const struct rule *rule; /* NULL: the table stays as it is */
    struct mapped_name name;
    const char *source_name; /* schema.table */
    const char *owned_sql;   /* owned.h */
    uint32_t source_count;   /* columns of the source; the results of expressions follow them among values */
    uint32_t column_count;
    struct mapped_column *columns;
    const struct table_expressions *expressions; /* proven; NULL: there are none, or no server was asked */
    bool keeps_rows; /* only names differ: the values and their order are the source's */
};

/* Has the column a value of its own, or one that a step has changed? */
static inline bool mapped_column_is_made(const struct mapped_column *column) {
    return column->from == COLUMN_ADDED || column->expression != 0 ||
           (column->rule != NULL && column->rule->step_count > 0);
}

/* Is its value about the change that wrote the row, and so in no row of the source? */
static inline bool mapped_column_is_of_change(const struct mapped_column *column) {
    return column->from == COLUMN_ADDED && column_source_is_of_change(column->rule->source);
}

/* What its expression, and all steps of a column together, do to values that were distinct. */
enum uniqueness steps_uniqueness(const struct column_rule *column);

/* Do values of the type have the same bytes in text and in binary? */
static inline bool table_map_is_text(oid_t type_oid) {
    enum { TEXT = 25, BPCHAR = 1042, VARCHAR = 1043 };
    return type_oid == TEXT || type_oid == BPCHAR || type_oid == VARCHAR;
}

/*
 * Of a relation of the stream: the map, and the relation as the sink gets it. ERROR_CONFIG: the rule names a
 * column that the table lacks, gives two columns one name, drops a column of the key, or makes its values
 * equal.
 */
MUST_CHECK bool table_map_relation(const struct mapping *mapping, const char *sink,
                                   const struct relation *relation, struct arena *arena,
                                   struct table_map *ret_map, const struct relation **ret_relation,
                                   struct error *err);

/* Appends the names of the sink's columns that are about changes, which no row of the source has. */
void table_map_name_changes(const struct table_map *map, struct buffer *names);

/* The same of a table of the catalog. Columns that the source does not send are left out. */
MUST_CHECK bool table_map_table(const struct mapping *mapping, const char *sink, const struct table *table,
                                struct arena *arena, struct table_map *ret_map, struct table *ret_table,
                                struct error *err);
