/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_tables.h - tables in which a Postgres sink keeps its state: they are never replicated.
 *
 * A source that is itself a target has them, and a publication for all tables sends them. In the next target
 * they would mix with the rows that its own sink keeps there.
 */
#pragma once

#include <stdbool.h>
#include <string.h>

#include "cdc/base/slice.h"
#include "decoder/change.h"

#define OWN_TABLES "position,conflicts,copy,chunk,chunk_seen,migration,columns,dead,dead_log,rejected,ddl_key"

/* A condition. N and C: the aliases of pg_namespace and pg_class. */
#define IS_OWN_TABLE(N, C) "(" N ".nspname = 'pgcdc' and " C ".relname = any ('{" OWN_TABLES "}'))"

static inline bool own_tables_have(struct slice schema, struct slice name) {
    if (!slice_equal(schema, slice_of("pgcdc")))
        return false;
    for (const char *at = OWN_TABLES; *at != '\0'; at += *at == ',') {
        const size_t size = strcspn(at, ",");
        if (slice_equal(name, (struct slice){.data = at, .size = size}))
            return true;
        at += size;
    }
    return false;
}

static inline bool own_tables_have_row(const struct change *change) {
    return (change->kind == CHANGE_INSERT || change->kind == CHANGE_UPDATE ||
            change->kind == CHANGE_DELETE) &&
           own_tables_have(change->relation->schema, change->relation->name);
}
