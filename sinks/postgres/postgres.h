/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres.h - the Postgres sink's own struct, shared by the files of this folder and by nobody else.
 *
 * postgres.c   the contract's functions, the target transaction, the options
 * apply*.c     the changes
 * copy.c       the initial copy: COPY bytes passed through in one target transaction
 * create.c     CREATE SCHEMA, TYPE and TABLE for what is missing on the target; table_sql.c the last of them
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/postgres/conflict_counts.h"
#include "sinks/postgres/conflict_policy.h"
#include "sinks/postgres/durability.h"
#include "sinks/postgres/position_row.h"
#include "sinks/postgres/pq_pipeline.h"
#include "sinks/sink.h"

struct apply; /* what is needed to apply changes: target tables, statements, the reduction */

#define WHOLE_FAILURES_MAX 64u /* tables; the oldest makes room */

/*
 * Where a transaction of one pipeline failed on the data. Kept when the sink is opened again: the plain way, which knows more,
 * then does the same change.
 */
struct whole_failures {
    oid_t tables[WHOLE_FAILURES_MAX]; /* of the target */
    uint32_t count;                   /* of all failures so far */
    bool anywhere;                    /* on none that is known, and nothing was committed since */
};

struct postgres_sink {
    struct sink sink;
    struct session session;
    struct position_row row;
    struct durability durability;
    bool may_narrow;            /* narrowing: allow */
    bool replica_role;          /* session_replication_role = replica is in force: see target_table.h */
    bool in_transaction;        /* a target transaction is open, and the position's row is locked */
    uint64_t transaction_count; /* changes with each target transaction; see apply_look */
    struct conflict_policy policy;
    struct conflict_counts conflicts;
    struct position whole; /* of the transaction that an open pipeline is by itself */
    struct whole_failures whole_failures;
    struct apply *apply;        /* NULL while closed */
    const struct table *copied; /* into which a COPY is under way, or NULL */
};

/* postgres.c: puts the start of the target transaction into the pipeline when there is none yet. */
MUST_CHECK bool postgres_begin(struct postgres_sink *sink, struct pq_pipeline *pipeline, struct error *err);

/*
 * postgres.c: instead of it, in a pipeline that holds nothing yet and will hold all changes up to position: without BEGIN it is
 * one transaction, which its end commits. Its end is left to the flush or commit that follows.
 */
MUST_CHECK bool postgres_begin_whole(struct postgres_sink *sink, struct pq_pipeline *pipeline,
                                     const struct position *position, struct error *err);

/* What a failed pipeline means: fenced, a change that does not fit, or what *err says already. Returns false. */
bool postgres_explain(const struct postgres_sink *sink, const struct pq_pipeline_failure *failure,
                      struct error *err);

/* copy.c: the sink contract's copy functions. */
bool postgres_copy_begin(struct sink *sink, const struct table *tables, size_t count, struct error *err);
bool postgres_copy_accepts_binary(struct sink *sink, const struct table *table);
bool postgres_copy_table(struct sink *sink, const struct table *table, enum copy_format format,
                         struct error *err);
bool postgres_copy_data(struct sink *sink, struct slice bytes, struct error *err);
bool postgres_copy_table_end(struct sink *sink, struct error *err);
bool postgres_copy_end(struct sink *sink, const struct position *position, struct error *err);

/* create.c: makes the schema, the user-defined types and the table when missing. In the open transaction. */
bool postgres_create_table(struct postgres_sink *sink, const struct table *table, struct error *err);
