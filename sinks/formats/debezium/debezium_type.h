/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_type.h - Debezium's mapping for a column's type.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decoder/relation.h"

enum debezium_kind {
    KIND_UNKNOWN, /* left out by Debezium, or included as bytes by its option */
    KIND_BOOLEAN,
    KIND_INTEGER,
    KIND_FLOAT,
    KIND_NUMERIC,
    KIND_MONEY,
    KIND_STRING,
    KIND_BYTES,
    KIND_BITS,
    KIND_DATE,
    KIND_TIME,
    KIND_TIMETZ,
    KIND_TIMESTAMP,
    KIND_TIMESTAMPTZ,
    KIND_INTERVAL,
    KIND_POINT,
    KIND_HSTORE,
    KIND_GEOMETRY,
};

struct debezium_type {
    enum debezium_kind kind; /* of an array's elements */
    bool is_array;
    int32_t modifier;
};

/*
 * A domain has its base type's mapping. A user-defined type without a mapping is a string: pgoutput does not
 * distinguish enums, which are strings in Debezium, from other types.
 */
struct debezium_type debezium_type_of(const struct column *column);

/*
 * The digits of numeric(precision, scale); scale may be negative since PostgreSQL 15. False: the modifier is
 * not set.
 */
bool debezium_numeric_modifier(int32_t modifier, int32_t *ret_precision, int32_t *ret_scale);
