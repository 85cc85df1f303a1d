/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_tables.h - the tables pgcdc.dead and pgcdc.dead_log: made, counted and dropped.
 *
 * dead has a row for each letter, in the order of (lsn, change): lsn is that of the transaction's commit
 * record, change the change's number in it. dead_log has a row for each letter that was settled: how, by
 * whom, and why.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

/* Outside a transaction. ERROR_CONFIG with the statements for an administrator when the role may not. */
MUST_CHECK bool dead_tables_create(struct session *session, struct error *err);

MUST_CHECK bool dead_tables_exist(struct session *session, bool *ret_exist, struct error *err);

/* The letters of a sink, of all its streams; 0 without the tables. */
MUST_CHECK bool dead_tables_count(const struct sink_config *config, struct session *session,
                                  struct dead_count *ret_count, struct error *err);

/* The sink's rows; and the tables, when they are then empty and the role may. In its own transaction. */
MUST_CHECK bool dead_tables_drop(const struct sink_config *config, struct session *session,
                                 struct error *err);

/*
 * In an open transaction that has locked the position's row: is there a letter of one of these tables? Then
 * ERROR_REFUSE: their rows are not to be copied again before it is settled.
 */
MUST_CHECK bool dead_tables_refuse(const struct sink_config *config, struct session *session,
                                   const struct chunk *chunks, size_t count, struct error *err);

/* In an open transaction that removes all rows of a table: its letters are moot. */
MUST_CHECK bool dead_tables_empty(const struct sink_config *config, struct session *session,
                                  oid_t relation_oid, struct error *err);
