/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_policy.h - what the sink does when the columns of a table change at the source, or the table is
 * truncated: the sink's options add_column, drop_column, rename_column, widen_type and truncate, and the
 * rules of ddl for tables.
 */
#pragma once

#include "cdc/base/error.h"
#include "sinks/ddl_policy.h"
#include "sinks/sink.h"

struct schema_policy {
    enum ddl_action actions[DDL_EVENTS]; /* none is DDL_UNSAID */
};

/* False: all changes of columns stop the sink, so none is looked for, as by one that does not follow. */
bool schema_policy_follows(const struct schema_policy *policy);

/* ERROR_CONFIG for another value. */
MUST_CHECK bool schema_policy_read(const struct sink_config *config, struct schema_policy *ret_policy,
                                   struct error *err);

/* May this be what is to be done with a table? */
bool schema_policy_says(const struct sink_config *config, const struct schema_policy *sink,
                        enum ddl_event event, enum ddl_action action);

/* For one table, by its name at the source: what config->ddl says of it, and otherwise the sink's. */
MUST_CHECK bool schema_policy_of_table(const struct sink_config *config, const struct schema_policy *sink,
                                       const char *schema, const char *table,
                                       struct schema_policy *ret_policy, struct error *err);
