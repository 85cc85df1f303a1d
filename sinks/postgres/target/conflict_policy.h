/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_policy.h - the sink's options on_missing and on_exists: what to do with a change whose row is
 * missing or already exists; and detect_origin: whether rows that others have changed are counted.
 */
#pragma once

#include "sinks/conflict.h"
#include "sinks/sink.h"

enum on_missing { ON_MISSING_STOP, ON_MISSING_IGNORE, ON_MISSING_INSERT };
enum on_exists { ON_EXISTS_STOP, ON_EXISTS_OVERWRITE };

struct conflict_policy {
    enum on_missing on_missing;
    enum on_exists on_exists;
    bool detects_origin;
};

/* ERROR_CONFIG when an option has an unknown value. */
MUST_CHECK bool conflict_policy_read(const struct sink_config *config, struct conflict_policy *ret_policy,
                                     struct error *err);

/* Are conflicts counted? */
static inline bool conflict_policy_counts(const struct conflict_policy *policy) {
    return policy->on_missing != ON_MISSING_STOP || policy->on_exists != ON_EXISTS_STOP ||
           policy->detects_origin;
}

static inline bool conflict_policy_settles(const struct conflict_policy *policy) {
    return policy->on_missing != ON_MISSING_STOP || policy->on_exists != ON_EXISTS_STOP;
}
