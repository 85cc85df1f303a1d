/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_match.h - how a row is found without a key: by all its columns.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/postgres/apply/statement.h"

/* Which of table->searched are NULL in values, as bits. 0 for a table with a key. */
uint32_t row_match_nulls(const struct target_table *table, const struct value *values);

/*
 * Appends the condition that is true for one row of the table, known as t, and puts the parameters that it
 * uses behind the *count that are there. nulls: of the values that will be looked for.
 */
void row_match_append(struct buffer *sql, const struct target_table *table, uint32_t nulls,
                      struct statement_parameter *parameters, int *count);
