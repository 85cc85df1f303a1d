/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generated.h - a column that the target generates cannot store a value, so the source must generate it too.
 */
#pragma once

#include "sinks/postgres/catalog/target_table.h"
#include "sinks/sink.h"

/*
 * Called before the first change of tables that were just looked up. ERROR_DATA for a sent column that the
 * target generates and, as far as sink->facts says, the source does not; sink->lack then names the column
 * and *ret_failed is the table's index.
 */
MUST_CHECK bool generated_check(struct sink *sink, struct target_table *const *tables, size_t count,
                                size_t *ret_failed, struct error *err);
