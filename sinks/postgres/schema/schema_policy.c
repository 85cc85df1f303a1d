/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_policy.c - reads the options.
 */
#include "sinks/postgres/schema/schema_policy.h"

#include <string.h>

static bool read_action(const struct sink_config *config, const char *key, enum schema_action usual,
                        enum schema_action *ret_action, struct error *err) {
    const char *value = sink_config_find(config, key);
    const bool may_keep = usual == SCHEMA_KEEP;
    *ret_action = usual;
    if (value == NULL)
        return true;
    if (strcmp(value, "apply") == 0)
        *ret_action = SCHEMA_APPLY;
    else if (strcmp(value, "stop") == 0)
        *ret_action = SCHEMA_STOP;
    else if (!may_keep || strcmp(value, "keep") != 0) {
        error_set(err, ERROR_CONFIG, "%s: expected %s", key,
                  may_keep ? "keep, apply or stop" : "apply or stop");
        return error_option(err, key);
    }
    return true;
}

bool schema_policy_read(const struct sink_config *config, struct schema_policy *ret_policy,
                        struct error *err) {
    return read_action(config, "add_column", SCHEMA_APPLY, &ret_policy->add, err) &&
           read_action(config, "drop_column", SCHEMA_KEEP, &ret_policy->drop, err) &&
           read_action(config, "rename_column", SCHEMA_APPLY, &ret_policy->rename, err) &&
           read_action(config, "widen_type", SCHEMA_APPLY, &ret_policy->widen, err);
}

bool schema_policy_follows(const struct schema_policy *policy) {
    return policy->add != SCHEMA_STOP || policy->drop != SCHEMA_STOP || policy->rename != SCHEMA_STOP ||
           policy->widen != SCHEMA_STOP;
}
