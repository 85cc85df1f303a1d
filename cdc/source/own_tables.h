/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_tables.h - tables in which a Postgres sink keeps its state: they are never replicated.
 *
 * A source that is itself a target has them, and a publication for all tables sends them. In the next target
 * they would mix with the rows that its own sink keeps there.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/slice.h"
#include "decoder/change.h"

/* A condition. N and C: the aliases of pg_namespace and pg_class. */
#define IS_OWN_TABLE(N, C)                                                                                   \
    "(" N ".nspname = 'pgcdc' and " C ".relname in ('position', 'conflicts', 'copy', 'chunk', "              \
    "'chunk_seen', 'migration', 'columns', 'dead', 'dead_log'))"

static inline bool own_tables_have(struct slice schema, struct slice name) {
    static const char *const NAMES[] = {"position",  "conflicts", "copy", "chunk",   "chunk_seen",
                                        "migration", "columns",   "dead", "dead_log"};
    if (!slice_equal(schema, slice_of("pgcdc")))
        return false;
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (slice_equal(name, slice_of(NAMES[i])))
            return true;
    return false;
}

static inline bool own_tables_have_row(const struct change *change) {
    return (change->kind == CHANGE_INSERT || change->kind == CHANGE_UPDATE ||
            change->kind == CHANGE_DELETE) &&
           own_tables_have(change->relation->schema, change->relation->name);
}
