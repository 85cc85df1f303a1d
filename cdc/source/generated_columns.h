/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generated_columns.h - which columns the source generates; a Relation message does not say.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/sink.h"

struct generated_columns {
    struct sink_column *items;
    size_t count;
};

/* For all tables of the database. *columns must be empty before; release it also after a failure. */
MUST_CHECK bool generated_columns_read(struct session *source, struct generated_columns *columns,
                                       struct error *err);
void generated_columns_release(struct generated_columns *columns);

bool generated_columns_find(const struct generated_columns *columns, const struct sink_column *column);
