/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_counts.h - how many conflicts of each kind were settled: a row per kind in the target's table
 * pgcdc.conflicts.
 *
 * The counts are stored in the target transaction that settles the conflicts, with its rows and its
 * position. So they are exact after any crash: a transaction that is rolled back and sent again counts once.
 * The table exists only when a sink settles conflicts.
 */
#pragma once

#include <stdint.h>

#include "cdc/pq/session.h"
#include "sinks/conflict.h"
#include "sinks/sink.h"

struct pq_pipeline;

struct conflict_counts {
    uint64_t pending[CONFLICT_KINDS]; /* of the open target transaction */
};

/* Creates the table when it is missing, in its own transaction. */
MUST_CHECK bool conflict_counts_open(struct session *session, struct error *err);

/* Puts the pending counts into the pipeline of the target transaction, before its COMMIT. */
MUST_CHECK bool conflict_counts_send(const struct conflict_counts *counts, const struct sink_config *config,
                                     struct pq_pipeline *pipeline, struct error *err);

/* Reads the counts; without the table they are 0. */
MUST_CHECK bool conflict_counts_look(const struct sink_config *config, struct session *session,
                                     uint64_t *ret_counts, struct error *err);

/* Deletes the sink's rows, and drops the table when it is then empty, in its own transaction. */
MUST_CHECK bool conflict_counts_drop(const struct sink_config *config, struct session *session,
                                     struct error *err);
