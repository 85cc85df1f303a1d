/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_rows.h - the rows of a target's table that are the source's, which a copy may remove.
 */
#pragma once

#include "cdc/base/buffer.h"

/*
 * Appends "delete from NAME where ...": what belongs to the source's table (owned_sql; NULL: all), in the
 * target's table itself and its partitions. A table that inherits from it has rows of another table.
 */
void own_rows_append_delete(struct buffer *sql, const char *schema, const char *table, const char *owned_sql);

/*
 * Appends a condition without variables: the target's table has such rows. It does not read the tables that
 * inherit from it.
 */
void own_rows_append_exists(struct buffer *sql, const char *schema, const char *table, const char *owned_sql);
