/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what the checks of `pgcdc check` share.
 *
 * A check reads, adds findings and changes nothing. It returns false with an error only if it could not be
 * done; that becomes a finding of its own, and the next checks still run. A fact that one check reads and
 * another needs is kept here.
 *
 * README.md lists what each file checks.
 */
#pragma once

#include "cdc/check/findings.h"
#include "cdc/config/config.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/engine/start.h"
#include "cdc/pq/session.h"
#include "cdc/source/catalog.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"
#include "cdc/source/target_identity.h"

/* The source's settings, and the role of source.dsn. */
struct source_facts {
    char version[32];
    char wal_level[16];
    char encoding[32];
    char synchronous_commit[16];
    char role[64];
    bool in_recovery;
    bool is_superuser;
    bool may_create; /* CREATE on the database */
    int slots_max;
    int slots_used;
    int sender_timeout_ms;
    int keep_mb;        /* max_slot_wal_keep_size, -1: no limit */
    int idle_timeout_s; /* idle_replication_slot_timeout, 0: none; from 18 on */
};

struct check {
    const struct config *config;
    const atomic_bool *stop;
    struct findings findings;
    struct arena arena; /* the tables' definitions, and texts that findings are made from */
    struct session source;
    struct session replication; /* does not stream */
    struct source_facts facts;
    bool has_identity;
    struct source_identity identity;
    struct slot_facts slot;
    struct checkpoint checkpoint;
    struct position positions[CHECKPOINT_SINKS_MAX];
    struct target_identity targets[CHECKPOINT_SINKS_MAX];
    bool is_refused; /* run would refuse to continue; the remedy is a new copy, or another slot or server */
    bool has_action; /* false: a refusal, or a fact is unknown */
    enum start_action action;
    bool publication_exists;
    bool publication_is_for_all; /* it has no list from which a table could be removed */
    bool sends_updates;          /* publishes updates or deletes, so tables need a replica identity */
    struct table_list tables;    /* the publication sends them, or will when it is created */
    bool has_tables;
};

/* Closes and frees what the checks opened, not the struct itself. */
void check_release(struct check *check);

/* Runs all checks. Findings are dropped only when memory is exhausted. */
void check_all(struct check *check);

/* The sinks alone, after check_all: once more, when they have changed. The caller drops the old findings. */
void check_sinks(struct check *check);

/* Will run copy the existing rows? Assumed if the start is unknown. */
bool check_expects_copy(const struct check *check);

/* Will run create the slot? */
bool check_expects_slot(const struct check *check);

/* "schema"."name" in the check's arena. */
const char *check_name(struct check *check, const char *schema, const char *name);

/* Adds the findings for a server that could not be reached with this dsn. */
void check_add_unreachable(struct check *check, const struct error *error, const char *dsn, bool replication);

/* Notes an open connection that is not encrypted, or whose server is not verified. */
void check_transport(struct check *check, const struct session *session);

/* The text of an array of the tables' OIDs, for $1::oid[]; NULL when memory is exhausted. */
const char *check_table_oids(struct check *check);

/*
 * check_tables.c: findings about the tables, given by OID (an array's text), that have no usable replica
 * identity. publications: those that send them, or "{}" before that; then the fix comes before the one that
 * publishes the tables, because the source would refuse their updates in between.
 */
MUST_CHECK bool check_identity(struct check *check, const char *oids, const char *publications,
                               struct error *err);

/* A live copy of a larger table from one snapshot is worth this warning; UINT64_MAX: of none. */
uint64_t check_long_copy_bytes(const struct check *check);
void check_add_long_copy(struct check *check, const struct table *table, const char *reason);

typedef bool check_fn(struct check *check, struct error *err);
check_fn check_config_file;
check_fn check_password_files;
check_fn check_source_connection;
check_fn check_source_settings;
check_fn check_failover;
check_fn check_standby;
check_fn check_triggers;
check_fn check_replication_connection;
check_fn check_state;
check_fn check_start;
check_fn check_slot_creation;
check_fn check_publication;
check_fn check_tables;
check_fn check_old_rows;

/* One sink; findings.where already names it. */
MUST_CHECK bool check_sink(struct check *check, const struct config_sink *sink, struct error *err);

/* check_uncopied.c; on an open session of the sink's target, and with a source. */
MUST_CHECK bool check_uncopied(struct check *check, const struct config_sink *sink, struct session *target,
                               struct error *err);
