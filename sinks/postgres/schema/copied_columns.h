/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copied_columns.h - does the target's table have the columns with which rows of a chunk are read?
 *
 * The columns of a table of the target are those of a place of the stream, and a chunk is read later. When
 * columns have got other names since, a value would be put into the wrong one. So a chunk is copied only
 * while pgcdc.columns has exactly the columns of the source's table.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/pq/session.h"
#include "sinks/chunk.h"
#include "sinks/sink.h"

/*
 * table: the source's, which sends all its columns. *ret_known: what pgcdc.columns has, for
 * copied_columns_hold, on the heap; NULL when nothing is known.
 */
MUST_CHECK bool copied_columns_ask(const struct sink_config *config, struct session *session,
                                   const struct table *table, enum sink_columns *ret_answer, char **ret_known,
                                   struct error *err);

/*
 * In the target transaction of a chunk of the table, as it is in the sink: no other columns until the
 * transaction ends. ERROR_RETRY: they are others than known says.
 */
MUST_CHECK bool copied_columns_hold(const struct sink_config *config, struct session *session,
                                    const struct table *table, const char *known, struct error *err);
