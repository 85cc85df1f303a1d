/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_plan.h - divides the tables of a copy into chunks.
 *
 * A table is divided by the first column of its primary key when that column identifies rows in the stream,
 * its type can be ordered here (chunk_key.h) and the sink takes the table in parts; else it is one chunk. The
 * bounds are quantiles of a sample of the table's pages; no row is counted. A small table without rows is
 * planned as copied, unless the copy is of tables that join later: rows may come before they are published.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"
#include "sinks/chunk.h"

/*
 * Largest table first. source: a session whose transaction has the slot's snapshot, of which snapshot is the
 * text; or any session, and CHUNK_SNAPSHOT_OF_NONE. The plan is in arena.
 */
MUST_CHECK bool chunk_plan_make(struct session *source, const char *snapshot, const struct table_list *tables,
                                uint64_t chunk_bytes, struct arena *arena, struct chunk_plan *ret_plan,
                                struct error *err);
