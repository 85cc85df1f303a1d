/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conflict_counts.h - how many conflicts of each kind were settled: a row for each kind in pgcdc.conflicts of
 * the target.
 *
 * The counts are stored in the target transaction that settles them, with its rows and its position. So they
 * are exact whatever is killed when: a transaction that is undone and sent again counts once. The table is
 * there only when a sink settles conflicts.
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

/* Makes the table when it is missing. Own transaction. */
MUST_CHECK bool conflict_counts_open(struct session *session, struct error *err);

/* Puts what is pending into the pipeline of the target transaction, in front of its COMMIT. */
MUST_CHECK bool conflict_counts_send(const struct conflict_counts *counts, const struct sink_config *config,
                                     struct pq_pipeline *pipeline, struct error *err);

/* Reads them; no table is no conflict. */
MUST_CHECK bool conflict_counts_look(const struct sink_config *config, struct session *session,
                                     uint64_t *ret_counts, struct error *err);

/* Deletes the sink's rows, and the table when it is then empty. Own transaction. */
MUST_CHECK bool conflict_counts_drop(const struct sink_config *config, struct session *session,
                                     struct error *err);
