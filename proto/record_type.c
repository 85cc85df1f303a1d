/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_type.c - the types that have a typed value in a record, because it represents them exactly.
 */
#include "proto/record_type.h"

enum { TYPE_COUNT = 13 };

static const struct record_type TYPES[TYPE_COUNT] = {
    {.oid = 16, .name = "bool", .value = RECORD_BOOLEAN},
    {.oid = 17, .name = "bytea", .value = RECORD_BYTES},
    {.oid = 18, .name = "char", .value = RECORD_TEXT},
    {.oid = 19, .name = "name", .value = RECORD_TEXT},
    {.oid = 20, .name = "int8", .value = RECORD_INTEGER, .min = INT64_MIN, .max = INT64_MAX},
    {.oid = 21, .name = "int2", .value = RECORD_INTEGER, .min = INT16_MIN, .max = INT16_MAX},
    {.oid = 23, .name = "int4", .value = RECORD_INTEGER, .min = INT32_MIN, .max = INT32_MAX},
    {.oid = 25, .name = "text", .value = RECORD_TEXT},
    {.oid = 26, .name = "oid", .value = RECORD_INTEGER, .min = 0, .max = UINT32_MAX},
    {.oid = 700, .name = "float4", .value = RECORD_FLOAT4},
    {.oid = 701, .name = "float8", .value = RECORD_FLOAT8},
    {.oid = 1042, .name = "bpchar", .value = RECORD_TEXT},
    {.oid = 1043, .name = "varchar", .value = RECORD_TEXT},
};

static const struct record_type LITERAL = {.value = RECORD_LITERAL};

static const struct record_type *find_by_name(struct slice name) {
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (slice_equal(slice_of(TYPES[i].name), name))
            return &TYPES[i];
    return &LITERAL;
}

static const struct record_type *find_by_oid(oid_t oid) {
    for (size_t i = 0; i < TYPE_COUNT; i++)
        if (TYPES[i].oid == oid)
            return &TYPES[i];
    return &LITERAL;
}

const struct record_type *record_type_of(const struct column *column) {
    if (record_type_is_builtin(column))
        return find_by_oid(column->type_oid);
    if (!slice_equal(column->type_schema, slice_of("pg_catalog")))
        return &LITERAL;
    return find_by_name(column->type_name);
}
