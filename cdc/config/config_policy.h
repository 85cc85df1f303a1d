/* SPDX-License-Identifier: Apache-2.0 */
/*
 * config_policy.h - the keys on_clash, source and dedupe of a rule.
 */
#pragma once

#include "cdc/config/section.h"
#include "sinks/mapping/rule.h"

/* After the rule's mode and columns. Adds the columns of candidates; without the keys the rule stays. */
MUST_CHECK bool config_read_policy(const struct section *section, struct rule *rule, struct error *err);

/* The key that makes candidates of the rule's rows, for an error. */
const char *config_policy_key(const struct rule *rule);
