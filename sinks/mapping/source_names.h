/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_names.h - the columns of a sink's table that have the source's values, under the source's names.
 *
 * A condition that a command gets is about the source's columns. Of a row of the sink it can be asked where
 * it needs nothing that a rule makes, drops or gives another type.
 */
#pragma once

#include "sinks/mapping/table_map.h"

/* A table with a rule; as table_map_table has made it. */
struct source_names {
    const struct table_map *map;
    const struct table *source;
    const struct table *mapped;
    const char *sink;
};

/* Appends "nr" as "id", ...: of a table, or of a row. There may be none. */
void source_names_append(struct buffer *sql, const struct source_names *names);

/* The sink's name of a column of the source; NULL: it has none. */
const char *source_names_find(const struct source_names *names, const char *column);

/* Returns false. A condition has failed in a query that has these columns alone. */
bool source_names_explain(const struct source_names *names, struct error *err);
