/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - applies changes to target tables; shared by the files of this folder.
 *
 * apply.c            finds the tables of a span of changes and decides how it is applied
 * apply_rows.c       one statement per change, in the source's order: always right
 * apply_sets.c       the net effect on each row, a few statements per table: fast, and equal to it or undone
 * apply_conflicts.c  rows that are missing or already exist, settled by the operator's policy
 * apply_kept.c       changes of tables that are gone, and a TRUNCATE that is ignored, are left out
 * apply_dead.c       changes that do not fit become dead letters, and later ones of their keys wait
 * explain.c          the message for a change that cannot be applied
 */
#pragma once

#include "cdc/base/map.h"
#include "sinks/postgres/apply/copy_in.h"
#include "sinks/postgres/apply/net_effect.h"
#include "sinks/postgres/apply/span.h"
#include "sinks/postgres/apply/statement.h"
#include "sinks/postgres/catalog/target_table.h"
#include "sinks/postgres/catalog/target_watch.h"
#include "sinks/postgres/dead/dead_letters.h"
#include "sinks/postgres/schema/schema.h"
#include "sinks/postgres/target/pq_pipeline.h"
#include "sinks/postgres/target/target.h"

struct apply {
    struct target *target;
    struct schema *schema;     /* the sink's; NULL: tables do not follow the source's columns */
    struct dead_letters *dead; /* NULL: a change that does not fit stops the pipeline */
    struct change *flowing;    /* a part of the span, without what waits behind a dead letter */
    size_t flowing_capacity;
    bool ordinary_role;     /* apply_rows.c has switched the replica role off */
    bool planner_is_theirs; /* the planner is set for triggers, until the end of the span */
    bool has_fired;       /* triggers fired in this target transaction, and may fire again when it commits */
    bool counts_one;      /* row statements are sent in the form that counts its rows on the server */
    bool in_savepoint;    /* apply_sets.c has left its savepoint for the next statements to release */
    struct arena catalog; /* target tables; kept until close, or until there are too many */
    size_t catalog_kept_bytes;    /* above this all are forgotten and looked up again; tests lower it */
    struct target_watch watch;    /* says when to forget them */
    struct map by_source;         /* the source's OID -> struct target_table of its latest definition */
    struct map by_target;         /* the target's OID -> struct target_table in use in the current run */
    struct target_table **tables; /* of each change that is being applied */
    size_t table_capacity;
    struct change *kept;       /* the span without what apply_keep has left out; valid until the next span */
    struct map told_truncates; /* the source's OIDs of tables whose ignored TRUNCATE was told */
    struct arena kept_relations; /* of their TRUNCATEs */
    /*
     * Tables that are named for the first time and have yet to be looked up, and the changes that name them.
     */
    struct target_table *new_tables[TARGET_TABLES_MAX];
    const struct change *new_changes[TARGET_TABLES_MAX];
    size_t new_count;
    uint64_t run;        /* counts the runs; see apply.c */
    size_t set_rows_min; /* from so many rows on, sets are used; SIZE_MAX: never; tests change it */
    /* at most so many rows become a target transaction of one pipeline; tests change it */
    size_t whole_rows_max;
    uint64_t fallback_count; /* spans whose sets failed, so that they were applied row by row */
    /* of the open pipeline: rows to update and to delete that another session has changed */
    uint64_t foreign_updates, foreign_deletes;
    struct statements statements;
    struct pq_pipeline pipeline;
    struct net_effect net;
    struct copy_in copy;
    struct buffer arrays;        /* the parameters of a set statement */
    struct arena conflict_arena; /* of one conflict */
    struct span whole;           /* the changes in an open pipeline that is a whole transaction */
};

/* NULL when memory is exhausted. target's session is open, and its role is set. apply_free accepts NULL. */
MUST_CHECK struct apply *apply_new(struct target *target);
void apply_free(struct apply *apply);

/*
 * Applies the changes in the target transaction, which it begins when none is open. until: the position of
 * the commit that follows, or NULL; the changes stay valid until that commit returns. A few rows that are
 * their whole target transaction are then left in the open pipeline, whose end is the commit.
 */
MUST_CHECK bool apply_changes(struct apply *apply, const struct change *changes, size_t count,
                              const struct position *until, struct error *err);

/*
 * The table has the relation's columns from here on, and no change says so (sink_chunk_ops.define).
 * Everything before it has been applied.
 */
MUST_CHECK bool apply_define(struct apply *apply, const struct relation *relation,
                             const struct transaction *place, struct error *err);

/*
 * apply_kept.c: replaces the changes by those that are to be applied. Counts what a policy ignores, in the
 * target transaction, which it begins then.
 */
MUST_CHECK bool apply_keep(struct apply *apply, const struct change **changes, size_t *count,
                           struct error *err);

/* The table of a relation that the changes name; it has been found. */
struct target_table *apply_table(const struct apply *apply, const struct relation *relation);

/* apply_rows.c: every change of the span. */
MUST_CHECK bool apply_rows(struct apply *apply, const struct span *span, struct error *err);

/*
 * apply_rows.c: the position, then every change of the span, in a pipeline that stays open and is a
 * transaction by itself. The server stops at a statement that does not change exactly one row. At most
 * PIPELINE_COMMANDS_MAX / 4 rows, and none of a table that is strict.
 */
MUST_CHECK bool apply_whole(struct apply *apply, const struct span *span, const struct position *until,
                            struct error *err);

/* apply_rows.c: puts the insert of one row into the open pipeline. */
MUST_CHECK bool apply_send_insert(struct apply *apply, struct target_table *table,
                                  const struct change *change, const struct value *values, struct error *err);

/*
 * apply_rows.c: called before a commit. Deferred triggers then run with the planner settings of the database
 * and the role.
 */
MUST_CHECK bool apply_send_triggers_planner(struct apply *apply, struct error *err);

/*
 * apply_rows.c: puts into the open pipeline the changes of tables that the net effect leaves to the row
 * path.
 */
MUST_CHECK bool apply_send_left_rows(struct apply *apply, const struct span *span, struct error *err);

/* apply_rows.c: returns false with ERROR_NEEDS_TEXT, so that the engine asks the source for text. */
bool apply_needs_text(const struct target_table *table, uint32_t column, struct error *err);

/*
 * apply_rows.c: puts a check into the open pipeline, once for each table and target transaction, before
 * anything that changes the table: does it still have the columns and types that it had when it was looked
 * up? Otherwise COPY would store an int's bits as a float's, and a numeric with fewer decimals would cut
 * them off silently. The check locks the table, so its columns cannot change before the transaction ends.
 */
MUST_CHECK bool apply_look(struct apply *apply, struct target_table *table, struct error *err);

/* apply_rows.c: puts the statement for one row into the open pipeline. */
MUST_CHECK bool apply_send_statement(struct apply *apply, struct target_table *table,
                                     struct statement_form form, const struct value *key,
                                     const struct value *values, struct pq_pipeline_note note,
                                     struct error *err);

/*
 * apply_rows.c: puts into the open pipeline the role and planner settings that the table's changes need;
 * NULL: those of all other statements.
 */
MUST_CHECK bool apply_send_as(struct apply *apply, const struct target_table *table, struct error *err);

/*
 * apply_rows.c: at the begin and at the end of a pipeline with row statements. What was counted belongs to
 * the target transaction only when the pipeline has succeeded.
 */
void apply_forget_foreign(struct apply *apply);
void apply_count_foreign(struct apply *apply);

/* apply_rows.c: puts a statement for each change into the open pipeline. */
MUST_CHECK bool apply_send_span(struct apply *apply, const struct span *span, struct error *err);

/* apply_conflicts.c: like apply_rows, and conflicts are settled by the sink's policy. */
MUST_CHECK bool apply_settling(struct apply *apply, const struct span *span, struct error *err);

/*
 * apply_conflicts.c: *err is the final error of apply_changes. If it is a conflict, adds its kind to *err;
 * returns false. Only close may follow, because the target transaction is given up.
 */
bool apply_name_conflict(struct apply *apply, struct error *err);

/* apply_conflicts.c: may a failed span be applied again in pieces, because some failures are settled? */
static inline bool apply_settles(const struct apply *apply) {
    return apply->dead != NULL || conflict_policy_settles(&apply->target->policy);
}

/* apply_conflicts.c: the row of an update or a delete is missing; no trigger or rule has to do with it. */
bool apply_is_missing(const struct pq_pipeline_failure *failure);

/* apply.c: changes none of which waits behind a dead letter, in an open target transaction. */
MUST_CHECK bool apply_flowing(struct apply *apply, const struct change *changes, size_t count,
                              struct error *err);

/* apply_dead.c: apply_changes where there are dead letters. */
MUST_CHECK bool apply_beside_dead(struct apply *apply, const struct change *changes, size_t count,
                                  struct error *err);

/* apply_dead.c: can the change that failed become a dead letter, so that the rest goes on? */
bool apply_dead_takes(const struct apply *apply, const struct pq_pipeline_failure *failure,
                      const struct error *err);

/* apply_dead.c: makes it one. *err: why it failed. Everything since the savepoint is undone. */
MUST_CHECK bool apply_set_aside(struct apply *apply, const struct pq_pipeline_failure *failure,
                                struct error *err);

/*
 * apply_dead.c: from first on, *ret_count changes, at most most, can be applied together: none waits for a
 * dead letter, and only the last may be a TRUNCATE that ends waiting. 0: the first one waits, and is now a
 * letter itself.
 */
MUST_CHECK bool apply_dead_find(struct apply *apply, const struct span *span, size_t first, size_t most,
                                size_t *ret_count, struct error *err);

/* apply_dead.c: the span is applied. The letters of a table that it has emptied are moot. */
MUST_CHECK bool apply_dead_end(struct apply *apply, const struct span *span, struct error *err);

/* apply_sets.c: applies a span of rows on which no trigger acts, each table with one definition. */
MUST_CHECK bool apply_sets(struct apply *apply, const struct span *span, struct error *err);

/*
 * apply_sets.c: puts into the open pipeline the release of the savepoint that a set may have left. Sent
 * before everything that ends a target transaction: a row that was locked outside a savepoint and is updated
 * inside it costs the server a multixact.
 */
MUST_CHECK bool apply_send_release(struct apply *apply, struct error *err);

/*
 * apply_sets.c: apply_send_savepoint puts a new savepoint into the open pipeline and replaces one that may
 * be left; apply_undo rolls back to it, outside a pipeline.
 */
MUST_CHECK bool apply_send_savepoint(struct apply *apply, struct error *err);
MUST_CHECK bool apply_undo(struct apply *apply, struct error *err);

/* explain.c: the remedy for an error of the commit, which cannot be traced to one change. */
void explain_commit_remedy(struct error *err);

/* explain.c: adds change, table and remedy to *err; returns false. failure may be NULL. */
bool explain_failure(const struct target_table *table, const struct change *change,
                     const struct pq_pipeline_failure *failure, struct error *err);

/*
 * explain.c: turns a failed pipeline into its meaning: fenced, a change that cannot be applied, or *err
 * unchanged. Returns false.
 */
bool explain_pipeline(const struct target *target, const struct pq_pipeline_failure *failure,
                      struct error *err);
