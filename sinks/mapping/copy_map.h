/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_map.h - rows in COPY's text format, from the columns of the source to those of the sink.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/mapping/row_map.h"

struct copy_map {
    const struct table_map *map;
    uint32_t column_count;  /* of the source's table */
    struct column *columns; /* of the source's table; names and types */
    int32_t *fields;        /* which field of a row a column of the source is; -1: it is not sent */
    int32_t field_count;
    uint64_t row_count;   /* rows so far: the next one's number */
    uint64_t left_out;    /* by a condition */
    bool *takes;          /* columns of the sink that get a value; the others it computes itself */
    struct value *values; /* of one row, by the source's columns */
    struct arena arena;   /* of one row; with expressions, of one call */
    struct buffer bytes;  /* rows as the sink gets them */
    struct buffer row;    /* rows of the source, unescaped: one, or with expressions all of a call */
    struct evaluator *evaluator;
};

/*
 * evaluator: not NULL when the map has expressions. table: the source's, with left_to_sink as the sink wants
 * it; mapped: the sink's. In arena; all outlive it.
 */
MUST_CHECK bool copy_map_begin(struct copy_map *copy, const struct table_map *map, const struct table *table,
                               const struct table *mapped, struct evaluator *evaluator, struct arena *arena,
                               struct error *err);

/*
 * Whole rows; those that a condition leaves out are missing. *ret_bytes is valid until the next call.
 * ERROR_DATA: as of row_map_span.
 */
MUST_CHECK bool copy_map_rows(struct copy_map *copy, struct slice rows, struct slice *ret_bytes,
                              struct error *err);

/* Accepts a zeroed one. */
void copy_map_release(struct copy_map *copy);
