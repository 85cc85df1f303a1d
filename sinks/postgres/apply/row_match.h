/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_match.h - how a row is found without a key: by all its columns.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/postgres/apply/statement.h"

/* Bits: which of table->searched are NULL in values. 0 for a table with a key. */
uint32_t row_match_nulls(const struct target_table *table, const struct value *values);

/*
 * Appends a condition that is true for one row of the table, whose alias is t. Adds its parameters after the
 * *count existing ones. nulls: row_match_nulls of the values to be found.
 */
void row_match_append(struct buffer *sql, const struct target_table *table, uint32_t nulls,
                      struct statement_parameter *parameters, int *count);
