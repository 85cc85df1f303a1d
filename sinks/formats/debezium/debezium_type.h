/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_type.h - which of Debezium's mappings a column's type has.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "decoder/relation.h"

enum debezium_kind {
    KIND_UNKNOWN, /* Debezium leaves the column out, unless it is told to include it as bytes */
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
 * A domain is its base type. A user-defined type that has no mapping of its own is a string: pgoutput does
 * not tell an enum, which is one, from others.
 */
struct debezium_type debezium_type_of(const struct column *column);

/*
 * The digits of numeric(precision, scale), whose scale may be negative since PostgreSQL 15. False: it has
 * none.
 */
bool debezium_numeric_modifier(int32_t modifier, int32_t *ret_precision, int32_t *ret_scale);
