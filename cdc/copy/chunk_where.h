/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_where.h - has a chunk a row for which a condition over the source's columns is true, on either side?
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/chunk.h"
#include "sinks/mapping/source_names.h"
#include "sinks/sink.h"

struct chunk_where {
    const char *where_sql;
    const struct sink_config *sink;
    struct session *source;
    struct session *target; /* NULL: a sink that appends, which cannot be asked */
    struct arena *arena;

    const struct table *table; /* of the last chunk, and what the sink's rules make of it */
    struct table_map map;
    struct table mapped;
};

/* ERROR_CONFIG: the target cannot be asked, because a rule makes other values of a column. */
MUST_CHECK bool chunk_where_ask(struct chunk_where *where, const struct table *table,
                                const struct chunk *chunk, bool *ret_some, struct error *err);
