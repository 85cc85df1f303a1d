/* SPDX-License-Identifier: Apache-2.0 */
/*
 * empty_tables.h - finds tables without rows, many in one query: a COPY of each costs a few round trips on
 * both sides.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/table.h"

enum { EMPTY_TABLES_MAX = 128 }; /* in one query, which makes a plan with as many parts */

/*
 * Sets is_empty[i] for each of count tables that has no rows in the snapshot of the session's transaction. A
 * table with a row filter is not asked: it may have to be read whole before no row is found, as the copy does
 * anyway. Nor is one larger than bytes_max on the disk.
 */
MUST_CHECK bool empty_tables_find(struct session *source, const struct table *tables, size_t count,
                                  uint64_t bytes_max, bool *ret_is_empty, struct error *err);

/*
 * The same for any number of plain tables, in a transaction whose snapshot is older than its locks: a table
 * that was truncated or rewritten since the snapshot looks empty to it, and is not counted as such. The
 * tables stay locked against both until the transaction ends.
 */
MUST_CHECK bool empty_tables_find_unchanged(struct session *source, const struct table *tables, size_t count,
                                            uint64_t bytes_max, bool *ret_is_empty, struct error *err);
