/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_columns.h - the columns of the source's tables, with their numbers, as decoder/catalog_table.h has
 * them.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/pq/session.h"
#include "decoder/catalog_table.h"

/*
 * Of one table, or of all when table is 0, in arena. slot: of the stream; a column is old when nothing about
 * it has changed in any transaction that this slot can still send. *ret_lsn: the answer shows every
 * transaction that ended before it, unless catalog_table.locked_by names it.
 */
MUST_CHECK bool catalog_columns_read(struct session *source, const char *slot, oid_t table,
                                     struct arena *arena, struct catalog_tables *ret_tables, lsn_t *ret_lsn,
                                     struct error *err);
