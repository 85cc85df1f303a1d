/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_map.h - changes of the source as changes of the sink's tables.
 *
 * Each relation is mapped once. A relation of the copy belongs to its caller for one call only, so those are
 * forgotten before the next one.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/map.h"
#include "decoder/change.h"
#include "sinks/left_out.h"
#include "sinks/mapping/evaluator.h"
#include "sinks/mapping/mode_rows.h"
#include "sinks/mapping/rule_columns.h"
#include "sinks/mapping/table_map.h"
#include "sinks/sink.h"

struct row_map {
    const struct mapping *mapping;
    const char *sink;
    struct evaluator *evaluator;  /* of the sink's handle */
    struct rule_columns *columns; /* likewise; NULL: changes go nowhere */
    struct arena definitions;     /* maps and relations */
    struct arena defined;         /* the same, of the last call of row_map_define */
    struct arena rows;            /* changes and values of one call */
    struct mode_rows modes;       /* the changes of one call */
    struct map relations;         /* of struct mapped_relation, by the address of the source's */
    bool has_read;                /* relations of a copy */
    size_t left_out;              /* of the last span, without those that are present, by conditions */
    struct left_out_list *left_out_by_rule; /* gets the same; NULL: none */
};

/* evaluator: not NULL when a rule has an expression of SQL; it outlives the map. */
void row_map_init(struct row_map *rows, const struct mapping *mapping, const char *sink,
                  struct evaluator *evaluator);
/* Accepts a zeroed one. */
void row_map_release(struct row_map *rows);

/*
 * The changes of a span, mapped; valid until the next call. There may be fewer: rows that a condition leaves
 * out. ERROR_CONFIG: see table_map.h and table_expressions.h. ERROR_NEEDS_TEXT: a step or an expression gets
 * a value in a binary format that is not its text. ERROR_DATA names table and column, never a value.
 */
MUST_CHECK bool row_map_span(struct row_map *rows, const struct sink_span *span, struct sink_span *ret_span,
                             struct error *err);

/*
 * A definition without a change, in ret_relation, as the sink gets rows of it; valid until the next call of
 * this function. Those of spans stay what they are: sinks know them by their addresses. Errors as there.
 */
MUST_CHECK bool row_map_define(struct row_map *rows, const struct relation *source,
                               const struct relation **ret_relation, struct error *err);

/* From the name of a column in the sink to that at the source, of a relation that was mapped. */
void row_map_name_source(const struct row_map *rows, struct sink_column *column);

/* The reverse, of several; those that no rule renames too. Valid until the next call of row_map_changes. */
MUST_CHECK bool row_map_name_sinks(struct row_map *rows, const struct sink_column *columns, size_t count,
                                   const struct sink_column **ret_columns, struct error *err);

/*
 * The value of one column. source, values: those of the source's table, in their order; the results of its
 * expressions follow the values. change: the kind of
 * the row, and what added columns are made of.
 */
MUST_CHECK bool row_map_value(const struct table_map *map, uint32_t column, const struct column *source,
                              const struct value *values, const struct change *change, struct arena *arena,
                              struct value *ret_value, struct error *err);

/* "2024-02-29T12:00:00.500000+00" */
void row_map_append_time(struct buffer *text, int64_t time_us);
