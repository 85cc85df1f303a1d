/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - what the checks of `pgcdc check` share.
 *
 * A check reads, adds findings, and changes nothing. It returns false with an error only when it could not be
 * done, which becomes a finding of its own; the checks after it still run. What one check learns and another
 * needs stands here.
 *
 * check_connection.c   can the servers be reached, and if not, why
 * check_secrets.c    may others read the passwords' files, or what goes over a connection
 * check_source.c       the source's settings and what is left of its slots and senders
 * check_standby.c      what a source that is a standby needs of its primary
 * check_start.c        state directory, positions and slot: would run start, and from where
 * check_publication.c  the publication, its coverage, and who may create it
 * check_tables.c       each table at the source: rights, replica identity
 * check_old_rows.c     what the server will not send of old rows although the identity looks right
 * check_target.c       a Postgres sink's server and the role's rights there
 * check_target_table.c each table there: present, fitting, writable
 * uncopied.c           rows that are older than their table's publication, and that no copy brought
 * check_circle.c       is the source itself the target of this sink's server
 * check_target_types.c its enums and domains
 * check_target_deferrable.c constraints that only the source checks late
 * check_target_columns.c its missing columns: added at the source, or renamed
 * check_sink.c         what another type of sink says of itself
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

/* The source's settings and the role that source.dsn connects as. */
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
    struct arena arena; /* the tables' definitions and texts that findings are made of */
    struct session source;
    struct session replication; /* does not stream */
    struct source_facts facts;
    bool has_identity;
    struct source_identity identity;
    struct slot_facts slot;
    struct checkpoint checkpoint;
    struct position positions[CHECKPOINT_SINKS_MAX];
    struct target_identity targets[CHECKPOINT_SINKS_MAX];
    bool is_refused; /* run would refuse to go on; what is left is a new copy, or another slot or server */
    bool has_action; /* false: a refusal, or a fact is missing */
    enum start_action action;
    bool publication_exists;
    bool publication_is_for_all; /* it lists no tables that could be taken out */
    bool sends_updates;          /* updates or deletes, so that a replica identity is needed */
    struct table_list tables;    /* that the publication sends, or would when it is created */
    bool has_tables;
};

/* Closes and frees what the checks opened; the check itself is the caller's. */
void check_release(struct check *check);

/* Finds everything, the findings' memory permitting. */
void check_all(struct check *check);

/* Will run copy the rows that are there? Assumed when it is not known where it would start. */
bool check_expects_copy(const struct check *check);

/* Will run create the slot? */
bool check_expects_slot(const struct check *check);

/* "schema"."name" in the check's arena. */
const char *check_name(struct check *check, const char *schema, const char *name);

/* Adds what is to be said of a server that could not be reached with this dsn. */
void check_add_unreachable(struct check *check, const struct error *error, const char *dsn, bool replication);

/* Notes an open session that somebody on the way could read or stand in for. */
void check_transport(struct check *check, const struct session *session);

/* The text of an array of the tables' OIDs, for $1::oid[]; NULL when memory is exhausted. */
const char *check_table_oids(struct check *check);

typedef bool check_fn(struct check *check, struct error *err);
check_fn check_config_file;
check_fn check_password_files;
check_fn check_source_connection;
check_fn check_source_settings;
check_fn check_standby;
check_fn check_replication_connection;
check_fn check_state;
check_fn check_start;
check_fn check_slot_creation;
check_fn check_publication;
check_fn check_tables;
check_fn check_old_rows;

/* One sink; findings.where names it already. */
MUST_CHECK bool check_target(struct check *check, const struct config_sink *sink, struct error *err);

/* The same for a type that has a check of its own. */
MUST_CHECK bool check_sink(struct check *check, const struct config_sink *sink, struct error *err);

/* What is asked of every table of a target. */
struct target_check {
    struct session *session;
    bool acts_as_replica; /* session_replication_role = replica may be set */
    bool can_grant;       /* GRANT SET ON PARAMETER exists there */
    bool may_fire;        /* triggers: fire */
    bool may_narrow;      /* narrowing: allow */
    bool may_lack;        /* on_missing: its tables may lack rows */
    bool may_create;      /* CREATE on the database */
    const char *role;     /* quoted */
    struct buffer *said;  /* types that a fix creates */
};

/* A table that the sink lacks; name: quoted. */
MUST_CHECK bool check_target_missing(struct check *check, const struct target_check *target,
                                     const struct table *table, const char *name, struct error *err);

/* check_circle.c; on the target's session. */
MUST_CHECK bool check_circle(struct check *check, struct session *target, struct error *err);

/* What a type of the table, or a constraint of any table, has at one side only. */
MUST_CHECK bool check_target_types(struct check *check, const struct target_check *target,
                                   const struct table *table, struct error *err);
MUST_CHECK bool check_target_deferrable(struct check *check, const struct target_check *target,
                                        struct error *err);

/* check_target_columns.c; columns: the target's name, type and whether it is generated, in its order. */
MUST_CHECK bool check_missing_columns(struct check *check, const struct table *table, const char *name,
                                      const PGresult *columns, struct error *err);

MUST_CHECK bool check_target_table(struct check *check, const struct target_check *target,
                                   const struct table *table, struct error *err);
