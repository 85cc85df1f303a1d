/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_fit.h - can a value change silently when its text is read by another type?
 *
 * Where the types differ, values are sent as text and the target's type reads that text. It can keep the
 * value, refuse it, which stops the pipeline and names the row, or change it silently: numeric(10,2) rounds,
 * varchar(5) cuts blanks off.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/slice.h"
#include "decoder/relation.h"
#include "sinks/table.h"

/* A column's type. */
struct type_shape {
    /* of the type itself; for a streamed domain that of its base type, because no more is sent */
    struct slice schema;
    struct slice name;
    struct slice base_schema; /* of a domain's base type; for an array, of its element */
    struct slice base_name;
    bool is_array;
    bool is_enum;
    bool hides_modifier; /* a streamed domain, whose own modifier is not sent */
    int32_t modifier;    /* of the base type; -1: none */
};

/*
 * From the stream's description, and from the source's catalog. The result is valid as long as its argument.
 */
struct type_shape type_shape_of_column(const struct column *column);
struct type_shape type_shape_of_table_column(const struct table_column *column);

/*
 * True when every value of source is kept or refused with an error; false when in doubt. Where a domain
 * hides its modifier, the target's is assumed to be the same: the copy and `check` compare them by the
 * catalog.
 */
bool type_fits(const struct type_shape *source, const struct type_shape *target);

/* Are both built-in numbers, or both arrays of numbers, so that their texts can be compared as numeric? */
bool type_pair_is_numeric(const struct type_shape *source, const struct type_shape *target);
