/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clashes.h - in how many unique indexes of the target a new row clashes with other rows.
 */
#pragma once

#include "cdc/pq/session.h"
#include "decoder/change.h"
#include "sinks/postgres/catalog/target_table.h"

/*
 * Of an insert or an update, outside a transaction and a pipeline. Indexes on expressions, on a part of the
 * rows, and those that are checked late are not looked at, nor are values that are not known.
 */
MUST_CHECK bool clashes_count(struct session *session, const struct target_table *table,
                              const struct change *change, uint32_t *ret_count, struct error *err);
