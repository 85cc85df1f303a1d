/* SPDX-License-Identifier: Apache-2.0 */
/*
 * type_fit_test.c - which types keep every value of another, and which can change one silently.
 */
#include <criterion/criterion.h>

#include "sinks/postgres/catalog/type_fit.h"

#define NUMERIC(PRECISION, SCALE) ((((PRECISION) << 16) | ((SCALE) &0x7ff)) + 4)
#define LENGTH(COUNT) ((COUNT) + 4)

struct pair {
    const char *source;
    int32_t source_modifier;
    const char *target;
    int32_t target_modifier;
};

static struct type_shape shape_of(const char *name, int32_t modifier) {
    const struct table_column column = {
        .type_schema = "pg_catalog", .type_name = name, .base_modifier = modifier};
    return type_shape_of_table_column(&column);
}

static bool fits(const struct pair *pair) {
    const struct type_shape source = shape_of(pair->source, pair->source_modifier);
    const struct type_shape target = shape_of(pair->target, pair->target_modifier);
    return type_fits(&source, &target);
}

static const struct pair KEPT[] = {
    {"numeric", NUMERIC(10, 2), "numeric", -1},
    {"numeric", NUMERIC(10, 2), "numeric", NUMERIC(5, 2)}, /* an overflow is refused aloud */
    {"numeric", NUMERIC(10, -2), "numeric", NUMERIC(10, 0)},
    {"numeric", -1, "int4", -1}, /* a fraction is, too */
    {"int4", -1, "int8", -1},
    {"int8", -1, "int2", -1},
    {"int4", -1, "float8", -1},
    {"float4", -1, "float8", -1},
    {"timestamp", 0, "timestamp", 3},
    {"timestamp", 3, "timestamptz", -1},
    {"date", -1, "timestamp", 0},
    {"varchar", LENGTH(5), "varchar", LENGTH(9)},
    {"varchar", LENGTH(5), "text", -1},
    {"uuid", -1, "varchar", LENGTH(36)},
    {"_int4", -1, "_int8", -1},
    {"_numeric", NUMERIC(10, 2), "_numeric", NUMERIC(10, 4)},
};

static const struct pair CHANGED[] = {
    {"numeric", -1, "numeric", NUMERIC(10, 2)},
    {"numeric", NUMERIC(10, 4), "numeric", NUMERIC(10, 2)},
    {"numeric", NUMERIC(10, 0), "numeric", NUMERIC(10, -2)},
    {"numeric", -1, "float8", -1},
    {"int8", -1, "float8", -1},
    {"int4", -1, "float4", -1},
    {"int4", -1, "numeric", NUMERIC(10, -2)},
    {"float8", -1, "float4", -1},
    {"timestamp", -1, "timestamp", 0},
    {"timestamp", 6, "timestamp", 3},
    {"timestamp", -1, "date", -1},
    {"time", -1, "time", 0},
    {"text", -1, "varchar", LENGTH(9)},
    {"varchar", LENGTH(9), "varchar", LENGTH(5)},
    {"text", -1, "bpchar", LENGTH(9)},
    {"json", -1, "jsonb", -1},
    {"_numeric", -1, "_numeric", NUMERIC(10, 2)},
    {"_int8", -1, "_float8", -1},
};

Test(type_fit, values_are_kept_or_refused_aloud) {
    for (size_t i = 0; i < sizeof KEPT / sizeof KEPT[0]; i++)
        cr_expect(fits(&KEPT[i]), "%s (%d) in %s (%d)", KEPT[i].source, KEPT[i].source_modifier,
                  KEPT[i].target, KEPT[i].target_modifier);
}

Test(type_fit, values_that_can_change_silently_do_not_fit) {
    for (size_t i = 0; i < sizeof CHANGED / sizeof CHANGED[0]; i++)
        cr_expect_not(fits(&CHANGED[i]), "%s (%d) in %s (%d)", CHANGED[i].source, CHANGED[i].source_modifier,
                      CHANGED[i].target, CHANGED[i].target_modifier);
}

/* The stream names a domain's base type and not the domain's modifier. */
Test(type_fit, a_streamed_domain_has_the_targets_modifier) {
    const struct column domain = {.type_oid = 20000,
                                  .type_modifier = -1,
                                  .type_schema = slice_of("pg_catalog"),
                                  .type_name = slice_of("numeric")};
    const struct type_shape source = type_shape_of_column(&domain);
    const struct type_shape target = shape_of("numeric", NUMERIC(10, 2));
    cr_assert(source.hides_modifier);
    cr_assert(type_fits(&source, &target));
}
