/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_policy.c - reads the options, and lays a table's rule over them.
 */
#include "sinks/postgres/schema/schema_policy.h"

#include <stdio.h>
#include <string.h>

#include "sinks/mapping/ddl_rules.h"
#include "sinks/mapping/rule.h"

static bool refuse_value(enum ddl_event event, struct error *err) {
    const char *const *words = ddl_event_words(event);
    char expected[64];
    size_t size = 0;
    for (size_t i = 0; words[i] != NULL; i++)
        size += (size_t) snprintf(expected + size, sizeof expected - size, "%s%s",
                                  i == 0 ? "" : (words[i + 1] == NULL ? " or " : ", "), words[i]);
    error_set(err, ERROR_CONFIG, "%s: expected %s", ddl_event_key(event), expected);
    return error_option(err, ddl_event_key(event));
}

static bool read_action(const struct sink_config *config, enum ddl_event event, enum ddl_action *ret_action,
                        struct error *err) {
    const char *value = sink_config_find(config, ddl_event_key(event));
    const char *const *words = ddl_event_words(event);
    *ret_action = ddl_event_usual(event);
    if (value == NULL)
        return true;
    for (size_t i = 0; words[i] != NULL; i++) {
        if (strcmp(words[i], value) != 0)
            continue;
        *ret_action = ddl_event_action(event, i);
        return true;
    }
    return refuse_value(event, err);
}

bool schema_policy_read(const struct sink_config *config, struct schema_policy *ret_policy,
                        struct error *err) {
    for (enum ddl_event event = 0; event < DDL_EVENTS; event++)
        if (!read_action(config, event, &ret_policy->actions[event], err))
            return false;
    return true;
}

bool schema_policy_follows(const struct schema_policy *policy) {
    bool follows = false;
    for (size_t event = 0; event < DDL_TRUNCATE; event++)
        follows = follows || policy->actions[event] != DDL_STOP;
    return follows;
}

bool schema_policy_says(const struct sink_config *config, const struct schema_policy *sink,
                        enum ddl_event event, enum ddl_action action) {
    bool says = sink->actions[event] == action;
    for (size_t i = 0; config->ddl != NULL && i < config->ddl->tables->count; i++)
        says = says || config->ddl->rules[i].actions[event] == action;
    return says;
}

bool schema_policy_of_table(const struct sink_config *config, const struct schema_policy *sink,
                            const char *schema, const char *table, struct schema_policy *ret_policy,
                            struct error *err) {
    const struct ddl_rule *said = NULL;
    *ret_policy = *sink;
    if (!ddl_rule_find(config->ddl, config->name, schema, table, &said, err))
        return false;
    for (size_t event = 0; said != NULL && event < DDL_EVENTS; event++)
        if (said->actions[event] != DDL_UNSAID)
            ret_policy->actions[event] = said->actions[event];
    return true;
}
