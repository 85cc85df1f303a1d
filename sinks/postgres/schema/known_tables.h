/* SPDX-License-Identifier: Apache-2.0 */
/*
 * known_tables.h - the columns of the source's tables as the target follows them: a row of pgcdc.columns
 * each.
 *
 * A row is written in the target transaction that carries out the change, together with the position. So
 * after any crash it says which of the source's columns, by number, each of the target's is.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/error.h"
#include "cdc/base/map.h"
#include "cdc/pq/session.h"
#include "decoder/catalog_table.h"
#include "sinks/sink.h"

struct known_column {
    uint32_t number; /* at the source */
    struct slice name;
    oid_t type_oid;
    int32_t type_modifier;
    uint32_t target_number; /* pg_attribute.attnum of the target's column; 0: it had none of that name */
    bool is_ignored;        /* the target is to have none; pgcdc.columns has -1 for its number */
    bool is_kept;           /* dropped at the source; the target's column has stayed */
};

struct known_table {
    oid_t oid;
    oid_t target_oid;     /* another table of that name is another table */
    uint32_t columns_max; /* numbers that the source's table had given by then, at least */
    struct slice storage; /* as in catalog_table.h, as it was last seen */
    bool wants_rows;      /* the source has written its rows anew, and they are to be copied again */
    uint32_t column_count;
    struct known_column *columns; /* by number; the kept ones anywhere */
};

struct known_tables {
    struct arena arena;
    struct map by_oid; /* of struct known_table */
};

void known_tables_init(struct known_tables *known);
void known_tables_release(struct known_tables *known);

/* Creates pgcdc.columns when it is missing. *ret_denied: the role may not, which is no error here. */
MUST_CHECK bool known_tables_create(struct session *session, bool *ret_denied, struct error *err);

/* Reads those of the sink. Not in a pipeline. */
MUST_CHECK bool known_tables_load(struct known_tables *known, const struct sink_config *config,
                                  struct session *session, struct error *err);

/* NULL: nothing is known. */
const struct known_table *known_tables_find(const struct known_tables *known, oid_t oid);

/* Is there a column of which the target is to have none? */
bool known_table_ignores(const struct known_table *table);

/* Stores the row in the session's transaction, and keeps a copy of the table. */
MUST_CHECK bool known_tables_put(struct known_tables *known, const struct sink_config *config,
                                 struct session *session, const struct known_table *table, struct error *err);

/*
 * Tables to copy again, at most max: those that want rows, and those that were written anew since they were
 * last seen and have the columns known. For commands: creates nothing.
 */
MUST_CHECK bool known_tables_find_rewritten(const struct sink_config *config, struct session *session,
                                            const struct catalog_tables *tables, oid_t *ret_oids, size_t max,
                                            size_t *ret_count, struct error *err);

/*
 * Adds tables of which nothing is known, where the catalog's answer is as certain as a definition: nothing of
 * them has changed since before the oldest change that can come. By itself, not in a transaction.
 */
MUST_CHECK bool known_tables_learn(struct known_tables *known, const struct sink_config *config,
                                   struct session *session, const struct catalog_tables *tables,
                                   struct error *err);

/* Removes what is stored of the sink, and the table when it is empty then. */
MUST_CHECK bool known_tables_drop(const struct sink_config *config, struct session *session,
                                  struct error *err);
