/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_policy.h - what the sink does when the columns of a table change at the source; the sink's options
 * add_column, drop_column, rename_column and widen_type.
 */
#pragma once

#include "cdc/base/error.h"
#include "sinks/sink.h"

enum schema_action { SCHEMA_APPLY, SCHEMA_KEEP, SCHEMA_STOP };

struct schema_policy {
    enum schema_action add;
    enum schema_action drop; /* KEEP: the target's column stays, and new rows have NULL in it */
    enum schema_action rename;
    enum schema_action widen;
};

/* False: everything is to stop the sink, so nothing is looked at, as by a sink that does not follow. */
bool schema_policy_follows(const struct schema_policy *policy);

/* ERROR_CONFIG for another value. */
MUST_CHECK bool schema_policy_read(const struct sink_config *config, struct schema_policy *ret_policy,
                                   struct error *err);
