/* SPDX-License-Identifier: Apache-2.0 */
/*
 * check.h - the check of a Postgres sink: its server, the role's rights, and each table there.
 *
 * A function reads both catalogs, adds findings and changes nothing. It returns false only if it could not
 * be done. README.md lists the files.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/session.h"
#include "sinks/check.h"
#include "sinks/ddl_policy.h"
#include "sinks/sink.h"

/* The facts that the checks of every table use. */
struct target_check {
    const struct sink_check *check;
    const struct sink_config *config;
    struct session *session; /* of the target */
    bool acts_as_replica;    /* the role may set session_replication_role = replica */
    bool can_grant;          /* the server has GRANT SET ON PARAMETER */
    bool may_fire;           /* triggers: fire */
    bool may_narrow;         /* narrowing: allow */
    bool may_create;         /* CREATE on the database */
    const char *role;        /* quoted */
    struct buffer *said;     /* types that a fix already creates */
};

/* All of it, on check->target; nothing if that is NULL. */
MUST_CHECK bool target_check_all(const struct sink_config *config, const struct sink_check *check,
                                 struct error *err);

/* "schema"."name", or "name" if schema is NULL, in the check's arena. */
const char *target_check_name(const struct target_check *target, const char *schema, const char *name);

/* Does another pipeline send the changes of this server to the source? */
MUST_CHECK bool target_check_circle(const struct target_check *target, struct error *err);

MUST_CHECK bool target_check_table(const struct target_check *target, const struct table *table,
                                   struct error *err);

/* A table that is missing; name: quoted. */
MUST_CHECK bool target_check_missing(const struct target_check *target, const struct table *table,
                                     const char *name, struct error *err);

/* Columns that are missing. columns: the target's, in order: name, type, whether it is generated. */
MUST_CHECK bool target_check_columns(const struct target_check *target, const struct table *table,
                                     const char *name, const PGresult *columns, struct error *err);

/* A column that no column of table is for; name: quoted. Nothing without a rule. */
void target_check_unfilled(const struct target_check *target, const struct table *table, const char *name,
                           const char *column, bool has_default);

/*
 * The numbers of the source's columns that the sink knows; *ret_known is NULL if others stop it. *ret_action:
 * DDL_APPLY or DDL_IGNORE, what it does with others.
 */
MUST_CHECK bool target_check_read_followed(const struct target_check *target, const struct table *table,
                                           PGresult **ret_known, enum ddl_action *ret_action,
                                           struct error *err);

/* Types of the table that differ. */
MUST_CHECK bool target_check_types(const struct target_check *target, const struct table *table,
                                   struct error *err);

/* Notes when no table will follow the source's columns, and what that misses. */
MUST_CHECK bool target_check_followed(const struct target_check *target, struct error *err);

/* Constraints of any table that one side lacks, or that act too early. */
MUST_CHECK bool target_check_deferrable(const struct target_check *target, struct error *err);
MUST_CHECK bool target_check_references(const struct target_check *target, struct error *err);
