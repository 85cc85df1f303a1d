/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.h - rows of the source as the mapping makes them, in a temporary table of the target.
 *
 * The rows of one range at a time are read in the source's snapshot and mapped by the function of the copy.
 * They lie in columns of the target's types, which read a value as the target's table has read it. So one and
 * the same expressions hash both. The table is in a session of its own, since one that holds a snapshot for
 * reading cannot create tables; it goes with the session.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/comparison.h"
#include "sinks/mapping/copy_map.h"
#include "sinks/postgres/verify/compared_table.h"

#define STAGE_TABLE "pg_temp.pgcdc_verify"

/* One table that is staged. */
struct staged_table {
    const struct compared_table *compared;
    const char *columns_sql; /* names and types, of the target */
    const char *select_sql;  /* the rows of the source, without a range */
    bool is_filtered;        /* it ends with a condition */
};

/* Zeroed: no table needed it yet. */
struct stage {
    struct session session;
    const struct staged_table *table; /* for which the temporary table was made */
    const struct chunk *range;        /* whose rows it has */
    bool is_full;
    bool is_made;         /* there is a temporary table */
    struct table_map map; /* of the table, with its expressions */
    struct copy_map copy;
    struct evaluator evaluator; /* of the rules' expressions */
    struct arena arena;
};

/* Outside of a snapshot. Does nothing when it is open. config: the sink's; it outlives the stage. */
MUST_CHECK bool stage_open(struct stage *stage, const struct sink_config *config,
                           const struct session_options *options, struct error *err);
void stage_close(struct stage *stage);

/* The rows of another snapshot are not those of this one. */
void stage_forget(struct stage *stage);

/*
 * Reads the rows of the part, unless those of its range are there; the condition of all parts is one. source:
 * in the snapshot.
 */
MUST_CHECK bool stage_fill(struct stage *stage, const struct staged_table *table,
                           const struct comparison_part *part, struct session *source, struct error *err);
