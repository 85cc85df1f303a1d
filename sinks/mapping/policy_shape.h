/* SPDX-License-Identifier: Apache-2.0 */
/*
 * policy_shape.h - what on_clash and dedupe make of a table: its rows are candidates, with their source and
 * the transaction that wrote them last.
 */
#pragma once

#include "sinks/mapping/table_map.h"

/* The rule's columns and those of its candidates, in arena. */
MUST_CHECK bool policy_shape_rule(struct rule *rule, struct arena *arena, struct error *err);

/* ERROR_CONFIG: its rows have no key at the source, or by_source does not name it. */
MUST_CHECK bool policy_shape_check(const struct table_map *map, const struct table *source,
                                   struct error *err);
