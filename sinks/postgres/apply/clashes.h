/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clashes.h - in how many unique indexes of the target a new row clashes with other rows.
 */
#pragma once

#include "cdc/pq/session.h"
#include "decoder/change.h"
#include "sinks/postgres/catalog/target_table.h"

/*
 * For an insert or an update, outside a transaction and a pipeline. Expression indexes, partial indexes and
 * deferrable constraints are not checked, nor are unknown values.
 */
MUST_CHECK bool clashes_count(struct session *session, const struct target_table *table,
                              const struct change *change, uint32_t *ret_count, struct error *err);
