/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target.h - the target transaction: its session, its position and its settings. All parts of the Postgres
 * sink share it.
 */
#pragma once

#include "cdc/pq/session.h"
#include "sinks/postgres/catalog/target_table.h"
#include "sinks/postgres/target/conflict_counts.h"
#include "sinks/postgres/target/conflict_policy.h"
#include "sinks/postgres/target/durability.h"
#include "sinks/postgres/target/position_row.h"
#include "sinks/postgres/target/pq_pipeline.h"
#include "sinks/sink.h"

#define WHOLE_FAILURES_MAX 64u /* tables; the oldest makes room */

/*
 * The tables for which a transaction of one pipeline failed on the data. Kept when the sink is opened again:
 * the plain path, whose errors say more, then applies the same change.
 */
struct whole_failures {
    oid_t tables[WHOLE_FAILURES_MAX]; /* of the target */
    uint32_t count;                   /* of all failures so far */
    bool anywhere;                    /* the table is unknown, and nothing was committed since */
};

/* The sink's own struct begins with it. */
struct target {
    struct sink sink;
    struct session session;
    struct position_row row;
    struct durability durability;
    enum trigger_role role;
    bool may_narrow;            /* narrowing: allow */
    bool replica_role;          /* session_replication_role = replica is in force: see target_table.h */
    bool in_transaction;        /* a target transaction is open, and the position's row is locked */
    uint64_t transaction_count; /* increases with each target transaction; see apply_look */
    struct conflict_policy policy;
    uint16_t origin_id; /* of detect_origin: the sink's own */
    struct conflict_counts conflicts;
    struct position whole; /* of the transaction that an open whole pipeline is */
    struct whole_failures whole_failures;
    const struct table *copied; /* the table of the current COPY, or NULL */
    bool follows;               /* its tables follow the source's columns, and those can be asked for */
    char *copied_columns;       /* of a copier: those of its table, in pgcdc.columns; NULL: not looked at */
};

/* Puts the start of the target transaction into the pipeline when none is open. */
MUST_CHECK bool target_begin(struct target *target, struct pq_pipeline *pipeline, struct error *err);

/*
 * Used instead of target_begin in an empty pipeline that will hold all changes up to position: without BEGIN
 * the pipeline is one transaction, which its end commits. The commit that follows ends it.
 */
MUST_CHECK bool target_begin_whole(struct target *target, struct pq_pipeline *pipeline,
                                   const struct position *position, struct error *err);
