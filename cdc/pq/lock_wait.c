/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_wait.c - pg_blocking_pids, pg_locks and pg_stat_activity, in words.
 */
#include "cdc/pq/lock_wait.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/log.h"

enum { CONNECT_MAX_MS = 3000 };

/* The columns of pg_stat_activity that this role may see; it sees NULL in the others. */
#define HOLDER                                                                                               \
    "pg_catalog.concat_ws(', ', 'pid ' || a.pid, 'user ' || a.usename, nullif(a.application_name, ''),"      \
    " a.state || ' since ' || pg_catalog.date_trunc('second', a.xact_start),"                                \
    " case when a.query = '<insufficient privilege>' then 'its query is shown to roles with "                \
    "pg_read_all_stats'"                                                                                     \
    "  when a.query <> '' then 'query: ' || pg_catalog.left(pg_catalog.regexp_replace("                      \
    "   pg_catalog.regexp_replace(a.query, '([''\"$0-9]|--|/[*]).*$', '...'), '\\s+', ' ', 'g'), 100) end)"

static const char BLOCKERS_SQL[] =
    "select (select pg_catalog.string_agg(" HOLDER ", '; ') from pg_catalog.pg_stat_activity a"
    "   where a.pid = any(b.pids)), 0 = any(b.pids),"
    " (select pg_catalog.format('%I.%I', n.nspname, c.relname) from pg_catalog.pg_locks l"
    "   join pg_catalog.pg_class c on c.oid = l.relation join pg_catalog.pg_namespace n on n.oid = "
    "c.relnamespace"
    "   where l.pid = $1::int and not l.granted limit 1),"
    " (select s.wait_event from pg_catalog.pg_stat_activity s where s.pid = $1::int),"
    " (select s.state_change::text from pg_catalog.pg_stat_activity s where s.pid = $1::int and s.state like "
    "'idle%'"
    "   and s.state_change < pg_catalog.clock_timestamp() - interval '1 s'"
    "   and s.application_name = pg_catalog.current_setting('application_name'))"
    " from (select pg_catalog.pg_blocking_pids($1::int) as pids) b";

enum { HOLDERS, PREPARED, TABLE, EVENT, IDLE_SINCE, BLOCKERS_FIELDS };

#define IS_LOCKED " is locked by "

/* $1: our own session, whose failed transaction may still hold locks; $2: a table, or NULL. */
static const char STRONG_SQL[] =
    "select pg_catalog.string_agg(pg_catalog.format('table %I.%I" IS_LOCKED "', n.nspname, c.relname) ||"
    "  coalesce(" HOLDER ", 'a prepared transaction'), '; ')"
    " from pg_catalog.pg_locks l join pg_catalog.pg_class c on c.oid = l.relation"
    " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " left join pg_catalog.pg_stat_activity a on a.pid = l.pid"
    " where l.locktype = 'relation' and l.granted and c.relkind in ('r', 'p', 'f', 'm')"
    " and (l.mode = 'AccessExclusiveLock' or c.oid = pg_catalog.to_regclass($2::text))"
    " and l.pid is distinct from $1::int"
    " and l.database = (select oid from pg_catalog.pg_database where datname = "
    "pg_catalog.current_database())";

static bool open_observer(struct session *observer, const struct session *session, struct error *err) {
    const struct session_options options = {.dsn = session->dsn,
                                            .password_file = session->password_file,
                                            .peer = session->peer,
                                            .application = session->application,
                                            .stop = session->stop,
                                            .connect_ms_max = CONNECT_MAX_MS,
                                            .is_observer = true};
    return session_open(observer, &options, err);
}

static bool lock_wait_ask(struct session *observer, const char *sql, int count, const char *const *parameters,
                          int fields, PGresult **ret_result, struct error *err) {
    const struct result_shape shape = {"the query for locks", 1, 1, fields, RESULT_NULL_ANYWHERE};
    return session_query(observer, sql, count, parameters, &shape, ret_result, err);
}

static void log_blockers(const struct session *session, const PGresult *result, long long seconds) {
    const bool is_prepared = result_is_true(result, 0, PREPARED);
    const bool is_named = !PQgetisnull(result, 0, TABLE);
    if (!PQgetisnull(result, 0, HOLDERS) || is_prepared)
        log_about(
            LOG_LOCK_WAIT, &(struct log_subject){.table = is_named ? PQgetvalue(result, 0, TABLE) : NULL},
            "%s: has waited for a lock%s%s for %lld s, held by %s%s", session->peer,
            is_named ? " on table " : "", is_named ? PQgetvalue(result, 0, TABLE) : "", seconds,
            PQgetvalue(result, 0, HOLDERS), is_prepared ? " a prepared transaction (pg_prepared_xacts)" : "");
    else if (strcmp(PQgetvalue(result, 0, EVENT), "SyncRep") == 0)
        log_line(LOG_STANDBY_WAIT,
                 "%s: a commit has waited %lld s for a standby in synchronous_standby_names", session->peer,
                 seconds);
    else if (!PQgetisnull(result, 0, IDLE_SINCE))
        log_line(LOG_NO_ANSWER, "%s: no answer for %lld s, although the server is idle in this session",
                 session->peer, seconds);
    else
        log_line(LOG_STATEMENT_RUNS, "%s: a statement has been running for %lld s", session->peer, seconds);
}

void lock_wait_report(const struct session *session, int64_t waited_ms, char *ret_idle_since, size_t size) {
    struct session observer AUTO(session_close) = {0};
    struct error err = {0};
    PGresult *result AUTO_PGRESULT = NULL;
    char pid[16];
    const char *parameters[] = {pid};
    const long long seconds = waited_ms / 1000;
    snprintf(pid, sizeof pid, "%d", PQbackendPID(session->conn));
    if (!open_observer(&observer, session, &err)) {
        if (err.kind != ERROR_STOPPED)
            log_about(LOG_NO_ANSWER, &(struct log_subject){.error = &err},
                      "%s: no answer for %lld s, and the reason cannot be queried: %s", session->peer,
                      seconds, err.text);
    } else if (lock_wait_ask(&observer, BLOCKERS_SQL, 1, parameters, BLOCKERS_FIELDS, &result, &err)) {
        log_blockers(session, result, seconds);
        snprintf(ret_idle_since, size, "%s", PQgetvalue(result, 0, IDLE_SINCE));
    }
}

/* The classes Activity and Client are its waits for WAL, and for a socket that takes no more. */
static const char SENDER_SQL[] =
    "select pg_catalog.count(*) from pg_catalog.pg_stat_activity a where a.pid = $1::int"
    " and a.backend_type = 'walsender' and a.state = 'active'"
    " and coalesce(a.wait_event_type, '') not in ('Activity', 'Client')"
    " and a.application_name = pg_catalog.current_setting('application_name')";

bool lock_wait_sender_works(const struct session *session) {
    struct session observer AUTO(session_close) = {0};
    struct error ignored = {0};
    PGresult *result AUTO_PGRESULT = NULL;
    char pid[16];
    const char *parameters[] = {pid};
    snprintf(pid, sizeof pid, "%d", PQbackendPID(session->conn));
    return open_observer(&observer, session, &ignored) &&
           lock_wait_ask(&observer, SENDER_SQL, 1, parameters, 1, &result, &ignored) &&
           strcmp(PQgetvalue(result, 0, 0), "1") == 0;
}

static bool lock_wait_explain_with(const struct session *session, const char *table, struct error *err) {
    struct session observer AUTO(session_close) = {0};
    struct error ignored = {0};
    PGresult *result AUTO_PGRESULT = NULL;
    char pid[16];
    const char *parameters[] = {pid, table};
    snprintf(pid, sizeof pid, "%d", PQbackendPID(session->conn));
    if (strcmp(err->sqlstate, "55P03") != 0 || strstr(err->text, IS_LOCKED) != NULL ||
        !open_observer(&observer, session, &ignored) ||
        !lock_wait_ask(&observer, STRONG_SQL, 2, parameters, 1, &result, &ignored) ||
        PQgetisnull(result, 0, 0))
        return false;
    const size_t length = strlen(err->text);
    snprintf(err->text + length, sizeof err->text - length, ": %s", PQgetvalue(result, 0, 0));
    return false;
}

bool lock_wait_explain(const struct session *session, struct error *err) {
    return lock_wait_explain_with(session, NULL, err);
}

bool lock_wait_explain_table(const struct session *session, const char *table, struct error *err) {
    return lock_wait_explain_with(session, table, err);
}
