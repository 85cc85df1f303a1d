/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_plan.h - divides the tables of a copy into chunks.
 *
 * A table that is larger than a chunk and that the sink takes in parts is divided by a column of its key
 * (chunk_divider.h); any other is one chunk. The bounds are quantiles of a sample of the table's pages; no
 * row is counted. A small table without rows is planned as copied, unless the copy is of tables that join
 * later: rows may come before they are published.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"
#include "sinks/chunk.h"

struct chunk_plan_terms {
    const char *snapshot; /* that of the source's transaction, or CHUNK_SNAPSHOT_OF_NONE */
    uint64_t chunk_bytes;
    /* The sink has rows of the tables: it must find those of each chunk by itself. */
    bool replaces;
    /*
     * Rows that the sink has cannot be removed, so no table's chunks share a snapshot: when it is lost, they
     * would be copied again together.
     */
    bool by_key_only;
    /* A table of at most so many bytes is divided by its pages, whatever its key is; 0: none is. */
    uint64_t by_pages_bytes;
};

/*
 * Largest table first. source: a session whose transaction has the slot's snapshot; or any session, and
 * CHUNK_SNAPSHOT_OF_NONE. The plan is in arena.
 */
MUST_CHECK bool chunk_plan_make(struct session *source, const struct chunk_plan_terms *terms,
                                const struct table_list *tables, struct arena *arena,
                                struct chunk_plan *ret_plan, struct error *err);
