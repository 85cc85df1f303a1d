/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_rules.c - the first rule that matches, as in a mapping.
 */
#include "sinks/mapping/ddl_rules.h"

#include "sinks/mapping/match.h"

bool ddl_rule_find(const struct ddl_rules *rules, const char *sink, const char *schema, const char *table,
                   const struct ddl_rule **ret_rule, struct error *err) {
    const struct rule *rule = NULL;
    *ret_rule = NULL;
    if (rules == NULL)
        return true;
    if (!rule_find(rules->tables, sink, schema, table, &rule, err))
        return false;
    *ret_rule = rule != NULL ? &rules->rules[rule - rules->tables->rules] : NULL;
    return true;
}
