/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_policy.h - what the sink does when the columns of a table change at the source: the sink's options
 * add_column, drop_column, rename_column and widen_type, and the rules of ddl for tables.
 */
#pragma once

#include "cdc/base/error.h"
#include "sinks/ddl_policy.h"
#include "sinks/sink.h"

struct schema_policy {
    enum ddl_action actions[DDL_EVENTS]; /* none is DDL_UNSAID */
};

/* False: everything is to stop the sink, so nothing is looked at, as by a sink that does not follow. */
bool schema_policy_follows(const struct schema_policy *policy);

/* ERROR_CONFIG for another value. */
MUST_CHECK bool schema_policy_read(const struct sink_config *config, struct schema_policy *ret_policy,
                                   struct error *err);

/* For one table, by its name at the source: what config->ddl says of it, and otherwise the sink's. */
MUST_CHECK bool schema_policy_of_table(const struct sink_config *config, const struct schema_policy *sink,
                                       const char *schema, const char *table,
                                       struct schema_policy *ret_policy, struct error *err);
