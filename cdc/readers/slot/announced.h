/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announced.h - whether a relation that the server announces is one that the pipeline replicates.
 *
 * A definition comes before a relation's first change, and again after the catalog has changed. A publication
 * that was altered since the start gets nothing to a sink that source.tables does not name.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

struct announced {
    const struct source_config *source;
    const PGresult *sent;    /* scope_read_announced at the start; NULL: whatever the publication sends */
    const atomic_bool *stop; /* for a question on another connection */
};

/*
 * payload: a Relation message. ERROR_CONFIG with a remedy when nobody named the table. Of one that is younger
 * than the stream the source's catalog is asked.
 */
MUST_CHECK bool announced_check(const struct announced *announced, struct slice payload, struct error *err);
