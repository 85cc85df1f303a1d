/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_row.h - the position of one sink, in the target itself: one row of pgcdc.position.
 *
 * The row is locked first in every target transaction, and updated in it: last, or at once when it is known
 * how far the transaction goes. So position and data are one atomic step, and two engines cannot both commit.
 * Opening raises the row's epoch; whoever holds an older epoch is fenced: its next lock or store finds no row
 * and it must stop (ERROR_REFUSE). So must it when it opens again: an engine that was thought dead does not
 * take back what another has taken over. A COMMIT whose answer was lost is decided by reading the row again,
 * which is what open does.
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
    int64_t epoch; /* ours; 0: never opened by this process */
    int64_t claim; /* the epoch that the last open asked for, which counts although its answer may be lost */
    /*
     * Lock and store are prepared in the session's pipeline; 1 more than the drops (pq_pipeline.h) they were
     * prepared after.
     */
    uint64_t lock_prepared;
    uint64_t store_prepared;
    uint64_t store_early_prepared;
};

/*
 * Creates schema and table when missing, raises the epoch, reads the position. Own transaction, committed.
 * Keep *row for the next open. A session of our role and application_name that keeps the row locked for 5 s
 * is ended: opening takes over. ERROR_REFUSE when it had an epoch and another engine has raised it since.
 */
MUST_CHECK bool position_row_open(struct position_row *row, struct session *session,
                                  struct position *ret_position, struct error *err);

/* Reads the row and nothing else: no lock, no epoch. No table or no row is no position. */
MUST_CHECK bool position_row_look(const struct position_row *row, struct session *session,
                                  struct sink_view *ret_view, struct error *err);

/*
 * Reads where it is in the transaction that the session is in, which goes on also without the table. 0: no
 * position.
 */
MUST_CHECK bool position_row_find_lsn(const struct position_row *row, struct session *session, lsn_t *ret_lsn,
                                      struct error *err);

/*
 * Puts the lock into a pipeline, behind BEGIN. When we are fenced the statement fails, and with it all behind
 * it; position_row_judge then turns the server's error into ERROR_REFUSE.
 */
MUST_CHECK bool position_row_send_lock(struct position_row *row, struct pq_pipeline *pipeline,
                                       struct error *err);

/*
 * Puts the update into a pipeline; the same holds. is_early: this transaction's commit does not wait for the
 * disk.
 */
MUST_CHECK bool position_row_send_store(struct position_row *row, struct pq_pipeline *pipeline,
                                        const struct position *position, bool is_early, struct error *err);

/* Makes ERROR_REFUSE of a failed lock or store that found no row of our epoch; returns false. */
bool position_row_judge(const struct position_row *row, struct error *err);

/*
 * Not pipelined: updates the row where epoch = ours and end_lsn <= position's. Exactly one row must change.
 * Inside a transaction it is part of it; outside it is durable by itself.
 */
MUST_CHECK bool position_row_store(const struct position_row *row, struct session *session,
                                   const struct position *position, struct error *err);

/* Deletes the row; drops table and schema when they are then empty. Own transaction. */
MUST_CHECK bool position_row_drop(const struct position_row *row, struct session *session, struct error *err);
