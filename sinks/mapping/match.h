/* SPDX-License-Identifier: Apache-2.0 */
/*
 * match.h - which rule is a table's, and what the table is called in the sink.
 *
 * A pattern is schema.table with stars (table_pattern.h), or a regular expression of Perl's kind between
 * slashes, which must match all of schema.table. A name with a dot is matched as it is.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "sinks/mapping/rule.h"

struct rule_pattern;

/* Schema and table of a sink, not quoted. */
struct mapped_name {
    const char *schema;
    const char *table;
};

/* The pattern lives in arena. ERROR_CONFIG: it is none; the text says where. */
MUST_CHECK bool rule_pattern_compile(const char *text, struct arena *arena,
                                     const struct rule_pattern **ret_pattern, struct error *err);

/* ERROR_CONFIG: `to` is no name, or refers to a group that the pattern has not. */
MUST_CHECK bool rule_check_to(const struct rule *rule, struct arena *arena, struct error *err);

/* Does the rule concern this sink? */
bool rule_is_for(const struct rule *rule, const char *sink);

/* The first one for this sink; *ret_rule NULL: there is none. */
MUST_CHECK bool rule_find(const struct mapping *mapping, const char *sink, const char *schema,
                          const char *table, const struct rule **ret_rule, struct error *err);

/* What a table that the rule matches is called; in arena. */
MUST_CHECK bool rule_name(const struct rule *rule, const char *schema, const char *table, struct arena *arena,
                          struct mapped_name *ret_name, struct error *err);
