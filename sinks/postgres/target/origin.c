/* SPDX-License-Identifier: Apache-2.0 */
/*
 * origin.c - creates, holds and drops a replication origin of the target.
 *
 * PostgreSQL names the holder of an origin only in a message. So the sink's session also takes an advisory
 * lock of that name, which shows the holder.
 */
#include "sinks/postgres/target/origin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define IN_USE "55006"
#define MISSING_RIGHT "42501"
#define DUPLICATE "42710"

enum { NAME_BYTES_MAX = 512 }; /* the server's limit since 18 */

static const char EXISTS[] = "select from pg_catalog.pg_replication_origin where roname = $1";
static const char CREATE[] = "select pg_catalog.pg_replication_origin_create($1)";
static const char SET_UP[] = "select pg_catalog.pg_replication_origin_session_setup($1)";
static const char DROP[] = "select pg_catalog.pg_replication_origin_drop($1)";

#define LOCK_KEY "7165066, pg_catalog.hashtext($1)"

static const char LOCK[] = "select pg_catalog.pg_try_advisory_lock(" LOCK_KEY ")";

/* Ends the session of an engine of the same pipeline and role, which has 5 s to exit. */
static const char END_HOLDER[] =
    "select pg_catalog.count(pg_catalog.pg_terminate_backend(holder.pid, 5000)) from pg_catalog.pg_locks l"
    " join pg_catalog.pg_stat_activity holder on holder.pid = l.pid"
    " where l.locktype = 'advisory' and l.granted and l.classid = 7165066 and l.objsubid = 2"
    "  and l.objid::bigint = pg_catalog.hashtext($1)::bigint & 4294967295"
    "  and l.database = (select oid from pg_catalog.pg_database where datname = "
    "pg_catalog.current_database())"
    "  and holder.usename = current_user and holder.pid <> pg_catalog.pg_backend_pid()"
    "  and holder.application_name = pg_catalog.current_setting('application_name')";

static const char RIGHTS[] =
    "select current_user, pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_create(text)', "
    "'execute')"
    " and pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_session_setup(text)', "
    "'execute')"
    " and pg_catalog.has_function_privilege('pg_catalog.pg_replication_origin_drop(text)', 'execute'),"
    " pg_catalog.quote_ident(current_user),"
    " (select pg_catalog.count(*) from pg_catalog.pg_replication_origin where roname <> $1),"
    " coalesce(pg_catalog.current_setting('max_active_replication_origins', true),"
    "  pg_catalog.current_setting('max_replication_slots')),"
    " pg_catalog.current_setting('track_commit_timestamp')";

static bool is_reserved(const char *name) {
    return strcmp(name, "none") == 0 || strcmp(name, "any") == 0 || strncmp(name, "pg_", 3) == 0;
}

bool origin_read_option(const struct sink_config *config, const char **ret_name, struct error *err) {
    const char *name = sink_config_find(config, "origin");
    *ret_name = name;
    if (name == NULL)
        return true;
    if (name[0] != '\0' && strlen(name) <= NAME_BYTES_MAX && !is_reserved(name))
        return true;
    error_set(err, ERROR_CONFIG, "origin: expected a name that is not any, none or pg_...");
    return error_option(err, "origin");
}

/* ---- the rights ---- */

#define FUNCTION_NAMES                                                                                       \
    "pg_replication_origin_create(text), pg_replication_origin_session_setup(text), "                        \
    "pg_replication_origin_drop(text)"

static bool explain(const struct session *session, const char *name, struct error *err) {
    if (strcmp(err->sqlstate, IN_USE) == 0) {
        error_wrap(err, "origin %s", name);
        return error_remedy(err, "give each sink an origin of its own");
    }
    error_wrap(err, "origin %s", name);
    if (strcmp(err->sqlstate, MISSING_RIGHT) != 0)
        return false;
    return error_remedy(
        err,
        "as a superuser of the target, in its database: grant execute on function " FUNCTION_NAMES
        " to \"%s\"",
        PQuser(session->conn));
}

/* ---- the origin ---- */

static bool exists(struct session *session, const char *name, bool *ret_exists, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, EXISTS, 1, &name,
                       &(const struct result_shape){"the query for the origin", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_exists = PQntuples(result) == 1;
    return true;
}

/* Another session may create it at the same moment. */
static bool create_if_missing(struct session *session, const char *name, struct error *err) {
    bool is_there = false;
    if (!exists(session, name, &is_there, err))
        return false;
    if (is_there || session_query(session, CREATE, 1, &name, NULL, NULL, err))
        return true;
    if (strcmp(err->sqlstate, DUPLICATE) != 0)
        return false;
    *err = (struct error){0};
    return true;
}

/* A lock that an ending session still holds does no harm: the origin itself belongs to one session only. */
static bool origin_take(struct session *session, const char *name, struct error *err) {
    return session_query(session, SET_UP, 1, &name, NULL, NULL, err) &&
           session_query(session, LOCK, 1, &name, NULL, NULL, err);
}

bool origin_set_up(struct session *session, const char *name, struct error *err) {
    if (!create_if_missing(session, name, err))
        return explain(session, name, err);
    if (origin_take(session, name, err))
        return true;
    if (strcmp(err->sqlstate, IN_USE) != 0)
        return explain(session, name, err);
    if (!session_query(session, END_HOLDER, 1, &name, NULL, NULL, err))
        return false;
    return origin_take(session, name, err) || explain(session, name, err);
}

#define UNTRACKED "track_commit_timestamp is off, so the server does not know who changed a row last"
#define TRACK "alter system set track_commit_timestamp = on;  -- and restart the server"

bool origin_find(struct session *session, const char *name, uint16_t *ret_id, struct error *err) {
    static const char SQL[] = "select roident, pg_catalog.current_setting('track_commit_timestamp')"
                              " from pg_catalog.pg_replication_origin where roname = $1";
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 1, &name,
                       &(const struct result_shape){"the query for the origin's number", 1, 1, 2, 0}, &result,
                       err))
        return false;
    *ret_id = (uint16_t) strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    if (strcmp(PQgetvalue(result, 0, 1), "on") == 0)
        return true;
    error_set(err, ERROR_CONFIG, "target: detect_origin: " UNTRACKED);
    return error_remedy(err, TRACK);
}

bool origin_drop(struct session *session, const char *name, struct error *err) {
    bool is_there = false;
    if (!exists(session, name, &is_there, err))
        return false;
    return !is_there || session_query(session, DROP, 1, &name, NULL, NULL, err) ||
           explain(session, name, err);
}

/* ---- check ---- */

static void report_rights(const PGresult *facts, const char *name, const struct sink_check *check) {
    sink_check_add(check, SINK_PROBLEM, "origin_rights",
                   "role %s lacks the right to use replication origins, which origin: %s needs",
                   PQgetvalue(facts, 0, 2), name);
    sink_check_fix(check, "grant execute on function " FUNCTION_NAMES " to %s;", PQgetvalue(facts, 0, 2));
}

static void report_room(const PGresult *facts, const struct sink_check *check) {
    sink_check_add(check, SINK_WARNING, "origin_room",
                   "the server has %s other replication origins and stores the state of at most %s",
                   PQgetvalue(facts, 0, 3), PQgetvalue(facts, 0, 4));
    sink_check_fix(check, "drop unused ones, or raise max_replication_slots (since 18: "
                          "max_active_replication_origins) and restart the server");
}

bool origin_check(struct session *session, const char *name, bool detects, const struct sink_check *check,
                  struct error *err) {
    PGresult *facts AUTO_PGRESULT = NULL;
    if (!session_query(session, RIGHTS, 1, &name,
                       &(const struct result_shape){"the query for the rights on origins", 1, 1, 6, 0},
                       &facts, err))
        return false;
    if (PQgetvalue(facts, 0, 1)[0] != 't')
        report_rights(facts, name, check);
    if (detects && strcmp(PQgetvalue(facts, 0, 5), "on") != 0) {
        sink_check_add(check, SINK_PROBLEM, "origin_untracked", "detect_origin: " UNTRACKED);
        sink_check_fix(check, "%s", TRACK);
    }
    if (strtoll(PQgetvalue(facts, 0, 3), NULL, 10) >= strtoll(PQgetvalue(facts, 0, 4), NULL, 10))
        report_room(facts, check);
    return true;
}
