/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_rows.h - the plan of a copy in the target: pgcdc.copy, pgcdc.chunk and pgcdc.chunk_seen.
 *
 * pgcdc.copy has one row for each copy. It is also the fence: a copier's transaction holds a share lock on it
 * and checks the engine's epoch, and the next engine raises the epoch before it reads the plan. So it waits
 * for the transactions of an older engine's copiers, and none of them can commit later.
 */
#pragma once

#include "cdc/base/arena.h"
#include "sinks/chunk.h"
#include "sinks/postgres/target/target.h"

/* In the open transaction. Creates the tables when they are missing. */
MUST_CHECK bool plan_rows_store(struct target *target, const struct chunk_plan *plan, struct error *err);

/*
 * Adds chunks to the plan, or begins one, while an engine may run; sets their ids. In a transaction of the
 * caller, after plan_rows_prepare_add, which creates the tables when they are missing.
 */
MUST_CHECK bool plan_rows_prepare_add(struct target *target, struct error *err);
MUST_CHECK bool plan_rows_add(struct target *target, struct chunk *chunks, size_t count, struct error *err);

/* Removes the chunks of a table. */
MUST_CHECK bool plan_rows_remove(struct target *target, oid_t relation_oid, struct error *err);

/* Reads the chunks into arena and takes nothing over. */
MUST_CHECK bool plan_rows_look(struct target *target, struct arena *arena, struct chunk_plan *ret_plan,
                               struct error *err);

/* Takes the plan over for this engine's epoch, and reads it into arena. *ret_plan has no chunks: none. */
MUST_CHECK bool plan_rows_load(struct target *target, struct arena *arena, struct chunk_plan *ret_plan,
                               struct error *err);

/* Puts the statements into the open pipeline, within the open transaction. */
MUST_CHECK bool plan_rows_send_note(const struct target *target, struct pq_pipeline *pipeline,
                                    const struct chunk_note *note, struct error *err);

/*
 * In a copier's open transaction: shares the fence and locks the chunk's row. ERROR_REFUSE when this engine
 * was superseded.
 */
MUST_CHECK bool plan_rows_begin_chunk(struct target *target, const struct chunk *chunk, struct error *err);

/* Likewise: shares the fence, and all chunks of this one's table wait again. */
MUST_CHECK bool plan_rows_empty(struct target *target, const struct chunk *chunk, struct error *err);

/* In the same transaction: the chunk is copied. read_lsn: the end of the source's WAL at the snapshot. */
MUST_CHECK bool plan_rows_end_chunk(struct target *target, const struct chunk *chunk, lsn_t read_lsn,
                                    uint64_t rows, struct error *err);

/* Removes the plan, if there is one. Outside of a transaction. */
MUST_CHECK bool plan_rows_drop(const struct sink_config *config, struct session *session, struct error *err);
