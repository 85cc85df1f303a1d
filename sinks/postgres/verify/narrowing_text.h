/* SPDX-License-Identifier: Apache-2.0 */
/*
 * narrowing_text.h - which values the target's type of a column changes.
 */
#pragma once

#include <libpq-fe.h>

#include "cdc/base/buffer.h"
#include "sinks/table.h"

enum narrowing { NARROWS_NOTHING, NARROWS_TEXT, NARROWS_NUMBER, NARROWS_NUMBERS };

/* shapes: of the target's table (type_shape.h). column: the sink's. */
enum narrowing narrowing_of(const PGresult *shapes, const struct table_column *column);

/* Adds to a condition on a row of the source. converted: the value as the target's type reads it. */
void narrowing_append(struct buffer *sql, const char *value_sql, enum narrowing narrowing,
                      const char *converted);
