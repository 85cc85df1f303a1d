/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ignored_columns.h - the columns of a table of the source that the target is to have none for, as
 * pgcdc.columns has them (add_column: ignore).
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"
#include "sinks/table.h"

/* table: the sink's. Not in a pipeline. Without pgcdc.columns, or the right to read it, there are none. */
MUST_CHECK bool ignored_columns_read(struct session *session, const struct sink_config *config,
                                     const struct table *table, PGresult **ret_ignored, struct error *err);

/* column: one of that table. */
bool ignored_columns_has(const PGresult *ignored, const struct table_column *column);
