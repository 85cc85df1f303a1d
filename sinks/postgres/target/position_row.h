/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_row.h - the position of one sink, stored in the target: one row of pgcdc.position.
 *
 * Every target transaction locks the row first and updates it: last, or at once when it is known how far the
 * transaction goes. So position and data are one atomic step, and two engines cannot both commit. Opening
 * raises the row's epoch. An engine with an older epoch is fenced: its next lock or store finds no row, and
 * it must stop (ERROR_REFUSE). It must also stop when it opens again: an engine that was thought dead does
 * not take the pipeline back. After a COMMIT whose answer was lost, open reads the row again and so learns
 * whether it happened.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/base/position.h"
#include "cdc/pq/session.h"
#include "sinks/sink.h"

struct pq_pipeline;

struct position_row {
    const char *pipeline;
    const char *sink;
    const char *stream; /* which of the pipeline's streams of changes; "": the slot's */
    int64_t epoch;      /* ours; 0: never opened by this process */
    int64_t claim; /* the epoch that the last open asked for, which counts although its answer may be lost */
    /*
     * Whether lock and store are prepared in the session: pipeline->drops (pq_pipeline.h) when they were,
     * plus 1.
     */
    uint64_t lock_prepared;
    uint64_t store_prepared;
    uint64_t store_early_prepared;
};

/*
 * Creates schema and table when missing, raises the epoch and reads the position, in its own transaction.
 * Keep *row for the next open. A session of our role and application_name that keeps the row locked for 5 s
 * is ended: opening takes over. ERROR_REFUSE when *row has an epoch and another engine has raised it since.
 */
MUST_CHECK bool position_row_open(struct position_row *row, struct session *session,
                                  struct position *ret_position, struct error *err);

/* Only reads the row: takes no lock, raises no epoch. Without table or row there is no position. */
MUST_CHECK bool position_row_look(const struct position_row *row, struct session *session,
                                  struct sink_view *ret_view, struct error *err);

/*
 * Reads the position's LSN in the session's open transaction, which also survives a missing table. 0: no
 * position.
 */
MUST_CHECK bool position_row_find_lsn(const struct position_row *row, struct session *session, lsn_t *ret_lsn,
                                      struct error *err);

/*
 * Puts the lock into a pipeline, after BEGIN. When this engine is fenced the statement fails, and with it
 * the rest of the pipeline; position_row_judge then turns the server's error into ERROR_REFUSE.
 */
MUST_CHECK bool position_row_send_lock(struct position_row *row, struct pq_pipeline *pipeline,
                                       struct error *err);

/*
 * Puts the update into a pipeline; it fails in the same way. is_early: this transaction's commit does not
 * wait for the disk.
 */
MUST_CHECK bool position_row_send_store(struct position_row *row, struct pq_pipeline *pipeline,
                                        const struct position *position, bool is_early, struct error *err);

/* Turns a failed lock or store that found no row of our epoch into ERROR_REFUSE; returns false. */
bool position_row_judge(const struct position_row *row, struct error *err);

/*
 * Not in a pipeline: updates the row where epoch is ours and end_lsn <= the position's. Exactly one row must
 * change. Inside a transaction it is part of it; outside, it is durable by itself.
 */
MUST_CHECK bool position_row_store(const struct position_row *row, struct session *session,
                                   const struct position *position, struct error *err);

/* Deletes the row, and drops table and schema when they are then empty, in its own transaction. */
MUST_CHECK bool position_row_drop(const struct position_row *row, struct session *session, struct error *err);
