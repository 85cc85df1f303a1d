/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_sql.h - the CREATE TABLE that a target needs for a table of the source.
 *
 * It has columns, types, NOT NULL, generated columns and the primary key: what a replica needs to be equal.
 * It has no defaults, no identity and no sequences, for every value comes from the source; no foreign keys
 * and no other indexes, for they are the target's own business and cheaper after the copy.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/table.h"

/* Without a semicolon. target_version: the server's, as libpq has it. */
void table_sql_append(struct buffer *sql, const struct table *table, int target_version);
