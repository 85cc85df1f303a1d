/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement_text.h - the SQL of each kind of statement.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/postgres/apply/statement.h"

/*
 * Appends the text to sql and fills parameters (room for 2 x column_count); returns their number.
 * form->written is set.
 */
int statement_text(struct buffer *sql, const struct target_table *table, const struct statement_form *form,
                   struct statement_parameter *parameters);
