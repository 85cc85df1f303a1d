/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_read.h - the columns of a rule: one word (`drop`), a list of steps, or keys.
 */
#pragma once

#include "cdc/config/section.h"
#include "sinks/mapping/rule.h"

/* Of the section `columns`. Sets the rule's columns. */
MUST_CHECK bool column_read_all(const struct section *columns, struct rule *rule, struct error *err);
