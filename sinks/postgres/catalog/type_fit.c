/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_fit.c - which pairs of types keep values.
 */
#include "sinks/postgres/catalog/type_fit.h"

#include <string.h>

#include "decoder/builtin_type.h"

#define NO_MODIFIER (-1)
#define HEADER_BYTES 4 /* included in the modifier of a length or a numeric */
#define SECONDS_DIGITS 6
#define INTERVAL_FULL 0x7fff
#define NAME_LENGTH 63

/* Built-in types that are compared by size within their family. */
enum family {
    OTHER,
    INTEGER,
    REAL,
    DECIMAL,
    STRING,
    BLANK_PADDED,
    DAY,
    STAMP,
    CLOCK,
    ZONED_CLOCK,
    SPAN,
    BITS
};

struct builtin {
    const char *name;
    enum family family;
    int digits; /* decimal digits that the type keeps; for INTEGER those of its largest value */
};

static const struct builtin BUILTINS[] = {
    {"int2", INTEGER, 5}, {"int4", INTEGER, 10},      {"int8", INTEGER, 19},
    {"float4", REAL, 6},  {"float8", REAL, 15},       {"numeric", DECIMAL, 0},
    {"text", STRING, 0},  {"varchar", STRING, 0},     {"bpchar", BLANK_PADDED, 0},
    {"date", DAY, 0},     {"timestamp", STAMP, 0},    {"timestamptz", STAMP, 0},
    {"time", CLOCK, 0},   {"timetz", ZONED_CLOCK, 0}, {"interval", SPAN, 0},
    {"bit", BITS, 0},     {"varbit", BITS, 0},
};

/* Types whose text does not end in a blank, so none can be cut off. */
static const char *const WITHOUT_BLANKS[] = {
    "int2", "int4", "int8",    "float4",    "float8",      "numeric", "bool",   "uuid",
    "oid",  "date", "time",    "timestamp", "timestamptz", "timetz",  "bytea",  "interval",
    "inet", "cidr", "macaddr", "macaddr8",  "bit",         "varbit",  "pg_lsn", "money",
    "xid",  "xid8", "cid",     "point",     "tid"};

/* ---- shapes ---- */

static bool is(struct slice name, const char *text) {
    return slice_equal(name, slice_of(text));
}

static bool is_builtin(struct slice schema) {
    return is(schema, "pg_catalog");
}

/* An array's type is named after its element's. */
static struct type_shape shape_of(struct slice schema, struct slice name, int32_t modifier) {
    struct type_shape shape = {
        .schema = schema, .name = name, .base_schema = schema, .base_name = name, .modifier = modifier};
    if (name.size > 1 && name.data[0] == '_') {
        shape.is_array = true;
        shape.base_name = (struct slice){.data = name.data + 1, .size = name.size - 1};
    }
    return shape;
}

struct type_shape type_shape_of_column(const struct column *column) {
    struct type_shape shape = shape_of(column->type_schema, column->type_name, column->type_modifier);
    shape.hides_modifier = column->type_oid >= BUILTIN_TYPE_FIXED_END && is_builtin(column->type_schema);
    return shape;
}

struct type_shape type_shape_of_table_column(const struct table_column *column) {
    return shape_of(slice_of(column->type_schema), slice_of(column->type_name), column->base_modifier);
}

/* ---- one type and its modifiers ---- */

static int seconds_digits(int32_t modifier) {
    return modifier == NO_MODIFIER ? SECONDS_DIGITS : modifier;
}

/* Digits after the decimal point, which may be negative. */
static int numeric_scale(int32_t modifier) {
    return (((modifier - HEADER_BYTES) & 0x7ff) ^ 1024) - 1024;
}

static bool numeric_keeps(int32_t source, int32_t target) {
    if (target == NO_MODIFIER)
        return true;
    return source != NO_MODIFIER && numeric_scale(target) >= numeric_scale(source);
}

/* The upper half holds the fields, the lower the digits of a second; all bits set: not specified. */
static bool interval_keeps(int32_t source, int32_t target) {
    if (target == NO_MODIFIER || source == target)
        return true;
    int fields = (target >> 16) & INTERVAL_FULL, digits = target & 0xffff;
    int source_fields = source == NO_MODIFIER ? INTERVAL_FULL : (source >> 16) & INTERVAL_FULL;
    int source_digits = source == NO_MODIFIER ? 0xffff : source & 0xffff;
    bool has_fields = fields == INTERVAL_FULL || fields == source_fields;
    bool has_digits = digits >= SECONDS_DIGITS || (source_digits != 0xffff && digits >= source_digits);
    return has_fields && has_digits;
}

/* Longer texts are refused, except that trailing blanks are cut off. */
static bool length_keeps(int32_t source, int32_t target) {
    return target == NO_MODIFIER || (source != NO_MODIFIER && source <= target);
}

static const struct builtin *find_builtin(struct slice name) {
    static const struct builtin NONE = {0};
    for (size_t i = 0; i < sizeof BUILTINS / sizeof BUILTINS[0]; i++)
        if (is(name, BUILTINS[i].name))
            return &BUILTINS[i];
    return &NONE;
}

static bool modifier_keeps(enum family family, int32_t source, int32_t target) {
    switch (family) {
    case DECIMAL:
        return numeric_keeps(source, target);
    case STAMP:
    case CLOCK:
    case ZONED_CLOCK:
        return seconds_digits(target) >= seconds_digits(source);
    case SPAN:
        return interval_keeps(source, target);
    case STRING:
        return length_keeps(source, target);
    case BLANK_PADDED: /* trailing blanks have no meaning */
    case BITS:         /* any other length is refused */
        return true;
    default:
        return target == NO_MODIFIER || source == target;
    }
}

/* ---- two types ---- */

static bool has_no_blanks(struct slice name) {
    for (size_t i = 0; i < sizeof WITHOUT_BLANKS / sizeof WITHOUT_BLANKS[0]; i++)
        if (is(name, WITHOUT_BLANKS[i]))
            return true;
    return false;
}

/* text and varchar, with or without a length. */
static bool string_keeps(const struct type_shape *source, enum family family,
                         const struct type_shape *target) {
    if (target->modifier == NO_MODIFIER)
        return true;
    if (source->is_array || !is_builtin(source->base_schema))
        return false;
    if (is(source->base_name, "name"))
        return target->modifier >= NAME_LENGTH + HEADER_BYTES;
    return family == STRING ? length_keeps(source->modifier, target->modifier)
                            : family == BLANK_PADDED || has_no_blanks(source->base_name);
}

static bool number_keeps(const struct builtin *from, const struct builtin *to,
                         const struct type_shape *target) {
    if (to->family == INTEGER) /* a fraction is refused */
        return from->family == INTEGER || from->family == DECIMAL || from->family == REAL;
    if (to->family == REAL)
        return (from->family == INTEGER || from->family == REAL) && from->digits <= to->digits;
    if (from->family == INTEGER)
        return target->modifier == NO_MODIFIER || numeric_scale(target->modifier) >= 0;
    return from->family == REAL && target->modifier == NO_MODIFIER;
}

static bool time_keeps(const struct builtin *from, const struct builtin *to, const struct type_shape *source,
                       const struct type_shape *target) {
    if (from->family == DAY)
        return to->family == STAMP;
    if (from->family == STAMP)
        return to->family == STAMP && modifier_keeps(STAMP, source->modifier, target->modifier);
    if (from->family == CLOCK && to->family == ZONED_CLOCK)
        return modifier_keeps(CLOCK, source->modifier, target->modifier);
    return from->family == CLOCK && to->family == SPAN && target->modifier == NO_MODIFIER;
}

static bool is_pair(const struct type_shape *source, const struct type_shape *target, const char *from,
                    const char *to) {
    return is(source->base_name, from) && is(target->base_name, to);
}

/* Two different built-in types; both arrays or neither. */
static bool builtin_keeps(const struct type_shape *source, const struct type_shape *target) {
    const struct builtin *from = find_builtin(source->base_name), *to = find_builtin(target->base_name);
    switch (to->family) {
    case STRING:
        return string_keeps(source, from->family, target);
    case BLANK_PADDED:
        return has_no_blanks(source->base_name);
    case INTEGER:
    case REAL:
    case DECIMAL:
        return number_keeps(from, to, target) || (is(source->base_name, "oid") && to->family != REAL &&
                                                  numeric_keeps(HEADER_BYTES, target->modifier));
    case DAY:
    case STAMP:
    case CLOCK:
    case ZONED_CLOCK:
    case SPAN:
        return time_keeps(from, to, source, target);
    case BITS:
        return from->family == BITS;
    case OTHER:
        break;
    }
    return is_pair(source, target, "jsonb", "json") || is_pair(source, target, "cidr", "inet") ||
           is_pair(source, target, "inet", "cidr");
}

static bool is_same_base(const struct type_shape *source, const struct type_shape *target) {
    bool same_array = source->is_array == target->is_array;
    bool same_name = slice_equal(source->base_name, target->base_name);
    return same_array && same_name && is_builtin(source->base_schema) == is_builtin(target->base_schema);
}

/* An extension may be in another schema, so a user-defined type is compared by name. */
static bool is_same_type(const struct type_shape *source, const struct type_shape *target) {
    return slice_equal(source->name, target->name) && !is_builtin(source->schema) &&
           !is_builtin(target->schema);
}

/*
 * Which texts a user-defined type keeps is unknown, except for an enum and for citext, which is text with
 * another comparison.
 */
static bool user_type_keeps(const struct type_shape *source, const struct type_shape *target) {
    if (source->is_array || target->is_array)
        return false;
    enum family from = find_builtin(source->base_name)->family;
    return target->is_enum ||
           (is(target->base_name, "citext") && is_builtin(source->base_schema) && from == STRING);
}

bool type_fits(const struct type_shape *source, const struct type_shape *target) {
    if (is_same_type(source, target))
        return !slice_equal(source->base_name, target->base_name) /* the element is the same domain */
               || target->modifier == NO_MODIFIER || source->modifier == target->modifier;
    if (is_same_base(source, target)) {
        enum family family =
            is_builtin(source->base_schema) ? find_builtin(source->base_name)->family : OTHER;
        return source->hides_modifier || modifier_keeps(family, source->modifier, target->modifier);
    }
    if (!is_builtin(target->base_schema))
        return user_type_keeps(source, target);
    if (!target->is_array && find_builtin(target->base_name)->family == STRING)
        return string_keeps(source, source->is_array ? OTHER : find_builtin(source->base_name)->family,
                            target);
    if (source->is_array != target->is_array)
        return false;
    if (!is_builtin(source->base_schema))
        return target->is_array && find_builtin(target->base_name)->family == STRING &&
               target->modifier == NO_MODIFIER;
    return builtin_keeps(source, target);
}

static bool is_number(const struct type_shape *shape) {
    const enum family family = find_builtin(shape->base_name)->family;
    return is_builtin(shape->base_schema) && (family == INTEGER || family == REAL || family == DECIMAL);
}

bool type_pair_is_numeric(const struct type_shape *source, const struct type_shape *target) {
    return is_number(source) && is_number(target) && source->is_array == target->is_array;
}
