/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply.h - what changes target tables; the parts of the Postgres sink that apply share it.
 *
 * apply.c       finds the tables of a span of changes and decides how it is applied
 * apply_rows.c  one statement a change, in the source's order: always right
 * apply_sets.c  the net effect on each row, a few statements a table: fast, and equal to it or undone
 * apply_conflicts.c  rows that are missing or there already, as the operator wants it
 * explain.c     what an operator is told of a change that does not fit
 */
#pragma once

#include "decoder/oid_map.h"
#include "sinks/postgres/apply/copy_in.h"
#include "sinks/postgres/apply/net_effect.h"
#include "sinks/postgres/apply/span.h"
#include "sinks/postgres/apply/statement.h"
#include "sinks/postgres/catalog/target_table.h"
#include "sinks/postgres/catalog/target_watch.h"
#include "sinks/postgres/target/pq_pipeline.h"
#include "sinks/postgres/target/target.h"

struct apply {
    struct target *target;
    bool ordinary_role;        /* apply_rows.c has switched the replica role off for the moment */
    bool planner_is_theirs;    /* apply_rows.c has set the planner for triggers, up to the end of the span */
    bool has_fired;            /* triggers acted in this target transaction, and may again when it commits */
    bool counts_one;           /* row statements are sent as those that count for themselves */
    bool in_savepoint;         /* apply_sets.c has left its savepoint for the next statements to release */
    struct arena catalog;      /* target tables; kept until close, or until they are too many */
    size_t catalog_kept_bytes; /* more, and all are forgotten and looked up again. Tests lower it. */
    struct target_watch watch; /* says when they are to be forgotten */
    struct oid_map by_source;  /* the source's OID -> struct target_table of its latest definition */
    struct oid_map by_target;  /* the target's OID -> struct target_table in use in the current run */
    struct target_table **tables; /* of each change that is being applied */
    size_t table_capacity;
    struct change *kept;         /* without those of tables that are gone; until the next span */
    struct arena kept_relations; /* of their TRUNCATEs */
    /* Tables that are named for the first time and wait to be looked up, and the changes that name them. */
    struct target_table *new_tables[TARGET_TABLES_MAX];
    const struct change *new_changes[TARGET_TABLES_MAX];
    size_t new_count;
    uint64_t run;        /* counts the runs; see apply.c */
    size_t set_rows_min; /* so many rows are worth a set; SIZE_MAX: never. Tests change it. */
    /* so many rows at most make a target transaction of one pipeline. Tests change it. */
    size_t whole_rows_max;
    uint64_t fallback_count; /* spans that sets failed on, so that they were applied row by row */
    struct statements statements;
    struct pq_pipeline pipeline;
    struct net_effect net;
    struct copy_in copy;
    struct buffer arrays;        /* the parameters of a set statement */
    struct arena conflict_arena; /* of one conflict */
    struct span whole;           /* what an open pipeline that is a transaction by itself does */
};

/* NULL when memory is exhausted. target's session is open, and its role is set. apply_free accepts NULL. */
MUST_CHECK struct apply *apply_new(struct target *target);
void apply_free(struct apply *apply);

/*
 * Applies the changes in the target transaction, which it begins when there is none. until: the position of
 * the commit that follows, until which the changes stay, or NULL. A few rows that are all of their
 * transaction are then left in the open pipeline, whose end is the commit.
 */
MUST_CHECK bool apply_changes(struct apply *apply, const struct change *changes, size_t count,
                              const struct position *until, struct error *err);

/* The table of a relation that the changes name; it has been found. */
struct target_table *apply_table(const struct apply *apply, const struct relation *relation);

/* apply_rows.c: every change of the span. */
MUST_CHECK bool apply_rows(struct apply *apply, const struct span *span, struct error *err);

/*
 * apply_rows.c: every change of the span behind the position, in a pipeline that stays open and is a
 * transaction by itself. The server itself stops at a statement that does not change exactly one row. At most
 * PIPELINE_COMMANDS_MAX / 4 rows, and none of a table that is strict.
 */
MUST_CHECK bool apply_whole(struct apply *apply, const struct span *span, const struct position *until,
                            struct error *err);

/* apply_rows.c: into the open pipeline, one row. */
MUST_CHECK bool apply_send_insert(struct apply *apply, struct target_table *table,
                                  const struct change *change, const struct value *values, struct error *err);

/*
 * apply_rows.c: in front of a commit: triggers that wait for it find the planner as the database and the role
 * have it.
 */
MUST_CHECK bool apply_send_triggers_planner(struct apply *apply, struct error *err);

/*
 * apply_rows.c: into the open pipeline, the changes of tables that the net effect leaves to be done by rows.
 */
MUST_CHECK bool apply_send_left_rows(struct apply *apply, const struct span *span, struct error *err);

/* apply_rows.c: asks the source for text; returns false. */
bool apply_needs_text(const struct target_table *table, uint32_t column, struct error *err);

/*
 * apply_rows.c: into the open pipeline, once a table and target transaction, in front of all that changes the
 * table: has it the columns and types that it had when it was looked up? COPY would store an int's bits as a
 * float's, and a numeric with fewer decimals cuts them off without a word. Behind it nobody can change them
 * before the transaction ends.
 */
MUST_CHECK bool apply_look(struct apply *apply, struct target_table *table, struct error *err);

/* apply_rows.c: into the open pipeline, the statement for one row. */
MUST_CHECK bool apply_send_statement(struct apply *apply, struct target_table *table,
                                     struct statement_form form, const struct value *key,
                                     const struct value *values, struct pq_pipeline_note note,
                                     struct error *err);

/*
 * apply_rows.c: into the open pipeline, role and planner as the table's changes want them; NULL: as all
 * others do.
 */
MUST_CHECK bool apply_send_as(struct apply *apply, const struct target_table *table, struct error *err);

/* apply_rows.c: into the open pipeline, a statement for each change. */
MUST_CHECK bool apply_send_span(struct apply *apply, const struct span *span, struct error *err);

/* apply_conflicts.c: as apply_rows, and conflicts are settled by the sink's policy. */
MUST_CHECK bool apply_settling(struct apply *apply, const struct span *span, struct error *err);

/*
 * apply_conflicts.c: *err is why apply_changes failed for good: if it is a conflict, says which kind; returns
 * false. Only close may follow, for the target transaction is given up.
 */
bool apply_name_conflict(struct apply *apply, struct error *err);

/* apply_sets.c: a span of rows that no trigger acts on, each table with one definition. */
MUST_CHECK bool apply_sets(struct apply *apply, const struct span *span, struct error *err);

/*
 * apply_sets.c: into the open pipeline, the end of the savepoint that a set may have left; in front of all
 * that ends a target transaction: a row that was locked outside a savepoint and is updated inside costs the
 * server a multixact.
 */
MUST_CHECK bool apply_send_release(struct apply *apply, struct error *err);

/*
 * apply_sets.c: into the open pipeline, a savepoint in place of the one that may be left; and back to it, not
 * in a pipeline.
 */
MUST_CHECK bool apply_send_savepoint(struct apply *apply, struct error *err);
MUST_CHECK bool apply_undo(struct apply *apply, struct error *err);

/* explain.c: the remedy of an error that only the commit had, which is of no change that is known. */
void explain_commit_remedy(struct error *err);

/* explain.c: puts change, table and remedy around *err; returns false. failure may be NULL. */
bool explain_failure(const struct target_table *table, const struct change *change,
                     const struct pq_pipeline_failure *failure, struct error *err);

/*
 * explain.c: what a failed pipeline means: fenced, a change that does not fit, or what *err says already.
 * Returns false.
 */
bool explain_pipeline(const struct target *target, const struct pq_pipeline_failure *failure,
                      struct error *err);
