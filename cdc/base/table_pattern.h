/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_pattern.h - names of tables in the configuration: schema.table, where * in either matches any run of
 * characters. A name in quotes is literal, dots and stars included: "a.b"."c d".
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"

struct table_pattern {
    const char *schema;
    const char *name;
    bool schema_is_exact;
    bool name_is_exact;
};

#define TABLE_PATTERN_HELP "schema.table, where * matches any characters and a name may be in double quotes"

/* Works in place: the names are parts of text. False: it is no pattern. */
MUST_CHECK bool table_pattern_parse(char *text, struct table_pattern *ret_pattern);

bool table_pattern_matches(const struct table_pattern *pattern, const char *schema, const char *name);

/* True if it has no star: it matches one table only. */
bool table_pattern_is_exact(const struct table_pattern *pattern);
