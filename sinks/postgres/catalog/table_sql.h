/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_sql.h - the CREATE TABLE that a target needs for a table of the source.
 *
 * It contains columns, types, NOT NULL, generated columns and the primary key: everything that a replica
 * needs to be equal. It contains no defaults, no identity and no sequences, because every value comes from
 * the source; and no foreign keys and no other indexes, which are the operator's decision and cheaper to
 * create after the copy. Of mode history the index of current versions is a second statement.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "sinks/table.h"

/* Without a semicolon. target_version: the server's version number from libpq. */
void table_sql_append(struct buffer *sql, const struct table *table, int target_version);
