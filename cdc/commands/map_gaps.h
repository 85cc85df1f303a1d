/* SPDX-License-Identifier: Apache-2.0 */
/*
 * map_gaps.h - columns of a sink's tables that do not fit the map: missing, without a value, or too narrow.
 *
 * They are the findings of the sink's own check that are about one column.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"
#include "sinks/check.h"

struct map_gap {
    struct map_gap *next;
    oid_t table; /* at the source */
    const char *column;
    enum sink_severity severity;
    const char *code;
    const char *text;
};

struct map_gaps {
    bool is_known; /* false: the sink's tables cannot be read, or it has none */
    struct map_gap *first;
};

/*
 * Everything is in arena. A target that cannot be reached is no error: *ret_reason says why, else it is NULL.
 */
MUST_CHECK bool map_gaps_read(const struct config_sink *sink, struct session *source,
                              const struct table *tables, size_t count, const atomic_bool *stop,
                              struct arena *arena, struct map_gaps *ret_gaps, const char **ret_reason,
                              struct error *err);

/* The first gap of a column; column NULL: of the table. NULL: there is none. */
const struct map_gap *map_gaps_find(const struct map_gaps *gaps, oid_t table, const char *column);
