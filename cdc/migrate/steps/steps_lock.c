/* SPDX-License-Identifier: Apache-2.0 */
/*
 * steps_lock.c - one process at a time works on a pipeline's migration.
 *
 * The lock is an advisory lock of the session, so that the server releases it when the process is gone. Its
 * holder is found by the lock's key in pg_locks.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/migrate/steps/steps.h"
#include "cdc/migrate/steps/steps_table.h"

enum { ENDING_MAX_MS = 2000, ASK_INTERVAL_MS = 50 };

/* 64 bits of a name; pgcdc's other advisory locks have keys of two parts. */
#define KEY "pg_catalog.hashtextextended('pgcdc.migration ' || $1, 0)"

static bool take(struct steps *steps, bool *ret_taken, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(&steps->session, "select pg_catalog.pg_try_advisory_lock(" KEY ")", 1,
                       &steps->pipeline,
                       &(const struct result_shape){"the lock of the migration", 1, 1, 1, 0}, &rows, err))
        return false;
    *ret_taken = result_is_true(rows, 0, 0);
    return true;
}

/* The session of a command that has just ended holds the lock until the server has noticed. */
static bool take_soon(struct steps *steps, bool *ret_taken, struct error *err) {
    const int64_t deadline_ms = clock_now_ms() + ENDING_MAX_MS;
    if (!take(steps, ret_taken, err))
        return false;
    while (!*ret_taken && clock_now_ms() < deadline_ms) {
        clock_pause_ms(ASK_INTERVAL_MS);
        if (!take(steps, ret_taken, err))
            return false;
    }
    return true;
}

/* Another session can have released it by now. */
static bool refuse_second(struct steps *steps, struct error *err) {
    static const char SQL[] =
        "select a.pid, coalesce(nullif(a.application_name, ''), 'an unnamed client'),"
        " coalesce('from ' || pg_catalog.host(a.client_addr), 'on the server''s own machine')"
        " from pg_catalog.pg_locks l join pg_catalog.pg_stat_activity a on a.pid = l.pid"
        " where l.locktype = 'advisory' and l.granted and l.objsubid = 1"
        " and l.database = (select oid from pg_catalog.pg_database where datname = "
        "pg_catalog.current_database())"
        " and (l.classid::bigint << 32 | l.objid::bigint) = " KEY;
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(
            &steps->session, SQL, 1, &steps->pipeline,
            &(const struct result_shape){"the holder of the migration's lock", 0, RESULT_ROWS_ANY, 3, 0},
            &rows, err))
        return false;
    const bool known = PQntuples(rows) > 0;
    error_set(err, ERROR_RUNNING,
              "target: another process works on the migration of pipeline %s: the server's pid %s is %s %s",
              steps->pipeline, known ? PQgetvalue(rows, 0, 0) : "?",
              known ? PQgetvalue(rows, 0, 1) : "a client", known ? PQgetvalue(rows, 0, 2) : "that is ending");
    return error_remedy(err, "wait until it has ended, or stop it, then run the command again");
}

/* The name that another process reads in refuse_second. */
static bool set_application(struct steps *steps, const char *command, struct error *err) {
    return session_query(&steps->session, "select pg_catalog.set_config('application_name', $1, false)", 1,
                         &command, NULL, NULL, err);
}

bool steps_lock(struct steps *steps, const char *command, struct error *err) {
    bool is_taken = false;
    if (!set_application(steps, command, err) || !session_notice_our_end(&steps->session, err) ||
        !take_soon(steps, &is_taken, err))
        return false;
    if (!is_taken)
        return refuse_second(steps, err);
    /* A drop that had the lock before may have removed the table. */
    return steps_table_exists(&steps->session, &steps->exists, err) && steps_table_create(steps, err);
}
