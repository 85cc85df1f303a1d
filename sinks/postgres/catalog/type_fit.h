/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_fit.h - can a value of one type become another value, and nobody say so, when it is read by another
 * type.
 *
 * Values travel as text where the types differ, and the target's type reads that text. It can keep the value,
 * refuse it, which stops the pipeline with the row's place, or change it silently: numeric(10,2) rounds,
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
    /* of the type itself; of a streamed domain that of its base type, for more is not sent */
    struct slice schema;
    struct slice name;
    struct slice base_schema; /* of what a domain is made of; of an array, its element */
    struct slice base_name;
    bool is_array;
    bool is_enum;
    bool hides_modifier; /* a streamed domain, whose own modifier is not sent */
    int32_t modifier;    /* of the base type; -1: none */
};

/*
 * As the stream describes it, and as the source's catalog does. They live as long as what they are made of.
 */
struct type_shape type_shape_of_column(const struct column *column);
struct type_shape type_shape_of_table_column(const struct table_column *column);

/*
 * True when each of source's values is kept or refused aloud. What is not certain is false. Where a domain
 * hides its modifier, the target's is taken for the same: the copy and `check` have compared them by the
 * catalog.
 */
bool type_fits(const struct type_shape *source, const struct type_shape *target);

/* Both are built-in numbers, or both arrays of them: their texts can be compared as numeric. */
bool type_pair_is_numeric(const struct type_shape *source, const struct type_shape *target);
