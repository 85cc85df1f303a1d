/* SPDX-License-Identifier: Apache-2.0 */
/*
 * late_key.h - primary keys that are built after the rows.
 *
 * Only for a table that was made for this copy (by the copy itself, or sink_config.has_new_tables) and that
 * is one chunk, or whose chunks are from one snapshot: no change of it is applied before its last chunk is
 * committed, and its key is committed with that. pgcdc.chunk.key_sql is how the copy remembers. A table that
 * is divided by its key has the key from the start, because changes of the chunks that are copied need it.
 */
#pragma once

#include "sinks/postgres/target/target.h"

/* In the transaction that creates missing tables, after the chunks were stored: removes such keys. */
MUST_CHECK bool late_key_plan(struct target *target, struct error *err);

/* In the chunk's transaction, after its rows: builds the key, unless the table has one by now. */
MUST_CHECK bool late_key_build(struct target *target, uint32_t chunk_id, struct error *err);

/*
 * Before chunks that wait are removed: builds the keys of their tables, which are empty. relation_oid: 0 for
 * all. Each in a savepoint of the open transaction; a table that cannot have its key is left without.
 */
MUST_CHECK bool late_key_restore(struct session *session, const char *pipeline, const char *sink,
                                 oid_t relation_oid, struct error *err);
