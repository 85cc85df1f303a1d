/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ddl_rules.h - which rule of ddl is a table's.
 */
#pragma once

#include "cdc/base/error.h"
#include "sinks/ddl_policy.h"

/* By the table's name at the source. *ret_rule NULL: there is none. rules: NULL for none. */
MUST_CHECK bool ddl_rule_find(const struct ddl_rules *rules, const char *sink, const char *schema,
                              const char *table, const struct ddl_rule **ret_rule, struct error *err);
