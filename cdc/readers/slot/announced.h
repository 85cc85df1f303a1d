/* SPDX-License-Identifier: Apache-2.0 */
/*
 * announced.h - is a relation that the server announces one that the pipeline replicates?
 *
 * The server sends a definition before a relation's first change, and again after the catalog has changed. So
 * a publication that is altered later cannot bring a table into a sink that source.tables does not list.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/base/slice.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

struct announced {
    const struct source_config *source;
    /* scope_read_announced at the start; NULL: accept everything that the publication sends */
    const PGresult *sent;
    const atomic_bool *stop; /* for a query on another connection */
};

/*
 * payload: a Relation message. ERROR_CONFIG with a remedy when source.tables does not list the table. For a
 * table that is newer than the stream, the source's catalog is queried.
 */
MUST_CHECK bool announced_check(const struct announced *announced, struct slice payload, struct error *err);
