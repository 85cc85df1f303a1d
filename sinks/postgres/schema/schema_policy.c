/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_policy.c - reads the options, and lays a table's rule over them.
 */
#include "sinks/postgres/schema/schema_policy.h"

#include <string.h>

#include "sinks/mapping/ddl_rules.h"

static bool read_action(const struct sink_config *config, const char *key, enum ddl_action usual,
                        enum ddl_action *ret_action, struct error *err) {
    const char *value = sink_config_find(config, key);
    const bool may_keep = usual == DDL_KEEP;
    *ret_action = usual;
    if (value == NULL)
        return true;
    if (strcmp(value, "apply") == 0)
        *ret_action = DDL_APPLY;
    else if (strcmp(value, "stop") == 0)
        *ret_action = DDL_STOP;
    else if (!may_keep || strcmp(value, "keep") != 0) {
        error_set(err, ERROR_CONFIG, "%s: expected %s", key,
                  may_keep ? "keep, apply or stop" : "apply or stop");
        return error_option(err, key);
    }
    return true;
}

bool schema_policy_read(const struct sink_config *config, struct schema_policy *ret_policy,
                        struct error *err) {
    enum ddl_action *actions = ret_policy->actions;
    return read_action(config, "add_column", DDL_APPLY, &actions[DDL_ADD_COLUMN], err) &&
           read_action(config, "drop_column", DDL_KEEP, &actions[DDL_DROP_COLUMN], err) &&
           read_action(config, "rename_column", DDL_APPLY, &actions[DDL_RENAME_COLUMN], err) &&
           read_action(config, "widen_type", DDL_APPLY, &actions[DDL_WIDEN_TYPE], err);
}

bool schema_policy_follows(const struct schema_policy *policy) {
    bool follows = false;
    for (size_t event = 0; event < DDL_EVENTS; event++)
        follows = follows || policy->actions[event] != DDL_STOP;
    return follows;
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
