/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruled_columns.h - before a chunk is copied: are the columns of rules still those of pgcdc.columns?
 *
 * A chunk is read with the names of now. If two columns have exchanged names since, each would get the
 * other's rule, before the stream comes to the change.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"
#include "sinks/table.h"

/* ERROR_DATA names the column. Nothing is known of a table that was not followed so far. */
MUST_CHECK bool ruled_columns_check(const struct sink_config *config, struct session *session,
                                    const struct table *table, struct error *err);
