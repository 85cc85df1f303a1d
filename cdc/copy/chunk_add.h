/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_add.h - adds tables to the plan of a pipeline's sinks, whether an engine runs or not.
 *
 * The plan in the sink is the request: durable before the engine is asked to look, and repeated without harm.
 *
 * A sink with one writer stores its plan itself, so it gets an edit of it (chunk_edit.h). It appends, and
 * consumers have rows that cannot be removed; so all changes of an added table are written, and its rows once
 * more, between two of them: the last record of each key is right. A table without a key is copied only if
 * nothing of it was sent before, and its topic is empty: consumers could not tell the rows from those that
 * they have.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/copy/chunk_edit.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"
#include "sinks/sink.h"

struct chunk_add {
    const struct config *config;
    const atomic_bool *stop;
    struct session *source;
    struct table_list tables;
    /* Rows in the sinks are replaced; else a table with rows is refused, one that was sent left out. */
    bool replaces;
    const char *where_sql; /* copy only chunks with a row, on either side, for which this is true; or NULL */
    const struct config_sink *sink; /* only this one; NULL: all */
    /* the chunks of the tables, each table's one after the other; NULL: they are planned here */
    const struct chunk *given;
    size_t given_count;
    const oid_t *unsent; /* tables of which no change was sent so far */
    size_t unsent_count;
    /* Hands the edit over to the sink's writer, and returns once it is stored. Takes the edit, always. */
    bool (*deliver)(void *context, const struct config_sink *sink, struct chunk_edit *edit,
                    struct error *err);
    void *context;
    /* Called for each table whose chunks a sink has already, and which is left out of it; or NULL. */
    void (*left_out)(const struct config_sink *sink, const struct table *table);
    size_t chunk_count; /* how many chunks are to be copied, over all sinks */
    bool appends;       /* rows were planned that a sink appends */
};

/*
 * Stores the chunks in each sink. A table whose chunks are stored already is left out. ERROR_CONFIG when a
 * sink cannot copy while changes are applied, or has no position yet.
 */
MUST_CHECK bool chunk_add_store(struct chunk_add *add, struct error *err);

/* Removes a table from the plans. Uses config, stop, deliver and context. */
MUST_CHECK bool chunk_add_remove(const struct chunk_add *add, oid_t relation_oid, struct error *err);

/* The chunks of all sinks that are not finished, in arena; sink i's are in ret_plans[i]. */
MUST_CHECK bool chunk_add_look(const struct config *config, const atomic_bool *stop, struct arena *arena,
                               struct chunk_plan *ret_plans, struct error *err);
