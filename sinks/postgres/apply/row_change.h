/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_change.h - one change's row: the values by which it is found, whether its key changes, which columns
 * are set.
 */
#pragma once

#include "decoder/change.h"
#include "sinks/postgres/catalog/column_set.h"
#include "sinks/postgres/catalog/target_table.h"

bool value_is_same(const struct value *a, const struct value *b);

/*
 * The values by which an update or a delete finds its row: the old ones, or the new ones when the key did
 * not change. NULL when the source did not send them: the table has no usable replica identity there.
 */
const struct value *row_change_key(const struct target_table *table, const struct change *change);

/* For an update: does it change the row's key? */
bool row_change_moves_key(const struct target_table *table, const struct change *change);

/* For an update: can it change a GENERATED ALWAYS AS IDENTITY column? That can be inserted but not set. */
bool row_change_must_replace(const struct target_table *table, const struct change *change);

/* For an update: the columns to set; with all, also columns that an UPDATE cannot or need not set. */
void row_change_written(const struct target_table *table, const struct change *change, bool all,
                        struct column_set *written);
