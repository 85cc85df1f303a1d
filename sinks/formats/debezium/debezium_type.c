/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_type.c - chooses Debezium's mapping for a column's type.
 *
 * OIDs of built-in types are the same on every server. Types of extensions get their OID at CREATE
 * EXTENSION, so they are recognized by name; a domain has an OID of its own and its base type's name.
 */
#include "sinks/formats/debezium/debezium_type.h"

#include "decoder/builtin_type.h"

enum {
    MODIFIER_HEADER = 4, /* VARHDRSZ, included in the modifiers of numeric and others */
    NUMERIC_PRECISION_SHIFT = 16,
    NUMERIC_SCALE_MASK = 0x7ff,
    NUMERIC_SCALE_SIGN = 0x400,
};

static const struct known_type {
    oid_t oid;       /* 0: of an extension */
    oid_t array_oid; /* 0: Debezium does not support arrays of it */
    enum debezium_kind kind;
    const char *name;
} KNOWN[] = {
    {16, 1000, KIND_BOOLEAN, "bool"},
    {17, 1001, KIND_BYTES, "bytea"},
    {18, 1002, KIND_STRING, "char"},
    {19, 0, KIND_STRING, "name"},
    {20, 1016, KIND_INTEGER, "int8"},
    {21, 1005, KIND_INTEGER, "int2"},
    {23, 1007, KIND_INTEGER, "int4"},
    {25, 1009, KIND_STRING, "text"},
    {26, 1028, KIND_INTEGER, "oid"},
    {114, 199, KIND_STRING, "json"},
    {142, 0, KIND_STRING, "xml"},
    {600, 0, KIND_POINT, "point"},
    {650, 651, KIND_STRING, "cidr"},
    {700, 1021, KIND_FLOAT, "float4"},
    {701, 1022, KIND_FLOAT, "float8"},
    {774, 775, KIND_STRING, "macaddr8"},
    {790, 0, KIND_MONEY, "money"},
    {829, 1040, KIND_STRING, "macaddr"},
    {869, 1041, KIND_STRING, "inet"},
    {1042, 1014, KIND_STRING, "bpchar"},
    {1043, 1015, KIND_STRING, "varchar"},
    {1082, 1182, KIND_DATE, "date"},
    {1083, 1183, KIND_TIME, "time"},
    {1114, 1115, KIND_TIMESTAMP, "timestamp"},
    {1184, 1185, KIND_TIMESTAMPTZ, "timestamptz"},
    {1186, 0, KIND_INTERVAL, "interval"},
    {1266, 1270, KIND_TIMETZ, "timetz"},
    {1560, 0, KIND_BITS, "bit"},
    {1562, 0, KIND_BITS, "varbit"},
    {1700, 1231, KIND_NUMERIC, "numeric"},
    {2950, 2951, KIND_STRING, "uuid"},
    {3614, 0, KIND_STRING, "tsvector"},
    {3802, 3807, KIND_STRING, "jsonb"},
    {3904, 3905, KIND_STRING, "int4range"},
    {3906, 3907, KIND_STRING, "numrange"},
    {3908, 3909, KIND_STRING, "tsrange"},
    {3910, 3911, KIND_STRING, "tstzrange"},
    {3912, 3913, KIND_STRING, "daterange"},
    {3926, 3927, KIND_STRING, "int8range"},
    {0, 0, KIND_HSTORE, "hstore"},
    {0, 0, KIND_STRING, "citext"},
    {0, 0, KIND_STRING, "ltree"},
    {0, 0, KIND_STRING, "isbn"},
    {0, 0, KIND_GEOMETRY, "geometry"},
    {0, 0, KIND_GEOMETRY, "geography"},
};

enum { KNOWN_COUNT = sizeof KNOWN / sizeof *KNOWN };

static struct debezium_type builtin_type(oid_t oid, int32_t modifier) {
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (KNOWN[i].oid == oid || KNOWN[i].array_oid == oid)
            return (struct debezium_type){
                .kind = KNOWN[i].kind, .is_array = KNOWN[i].oid != oid, .modifier = modifier};
    return (struct debezium_type){.kind = KIND_UNKNOWN};
}

static bool is_builtin(const struct known_type *known) {
    return known->oid != 0;
}

/* The kind of a type name, in pg_catalog or in another schema. */
static enum debezium_kind kind_of_name(struct slice name, bool in_catalog, bool is_array) {
    for (size_t i = 0; i < KNOWN_COUNT; i++)
        if (slice_equal(name, slice_of(KNOWN[i].name)) && is_builtin(&KNOWN[i]) == in_catalog)
            return is_array && in_catalog && KNOWN[i].array_oid == 0 ? KIND_UNKNOWN : KNOWN[i].kind;
    return in_catalog ? KIND_UNKNOWN : KIND_STRING;
}

/* PostgreSQL names an array type by its element type with an underscore before it. */
struct debezium_type debezium_type_of(const struct column *column) {
    if (column->type_oid < BUILTIN_TYPE_FIXED_END)
        return builtin_type(column->type_oid, column->type_modifier);
    struct slice name = column->type_name;
    bool is_array = name.size > 1 && name.data[0] == '_';
    if (is_array)
        name = (struct slice){.data = name.data + 1, .size = name.size - 1};
    bool in_catalog = slice_equal(column->type_schema, slice_of("pg_catalog"));
    return (struct debezium_type){.kind = kind_of_name(name, in_catalog, is_array),
                                  .is_array = is_array,
                                  .modifier = column->type_modifier};
}

bool debezium_numeric_modifier(int32_t modifier, int32_t *ret_precision, int32_t *ret_scale) {
    if (modifier < MODIFIER_HEADER)
        return false;
    int32_t scale = (modifier - MODIFIER_HEADER) & NUMERIC_SCALE_MASK;
    *ret_precision = (modifier - MODIFIER_HEADER) >> NUMERIC_PRECISION_SHIFT;
    *ret_scale = (scale ^ NUMERIC_SCALE_SIGN) - NUMERIC_SCALE_SIGN;
    return true;
}
