/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_sides.c - takes the two snapshots.
 */
#include "cdc/verify/verify_sides.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/source/source.h"
#include "cdc/source/wal_page.h"

enum {
    POLL_MS = 5,           /* poll interval; also the time in which rows can change between the snapshots */
    STANDSTILL_MS = 60000, /* give up after this long if an engine runs and the position does not advance */
    SLOT_INTERVAL_MS = 1000,
    SAY_INTERVAL_MS = 10000,
};

/* The wait until the target's position has passed the source's. */
struct waiting {
    int64_t moved_ms; /* when the position last changed */
    int64_t said_ms;
    int64_t slot_ms;
    lsn_t lsn;
};

/* ---- opening ---- */

/*
 * A query over a large table takes long. If pgcdc is gone, the server should cancel it; not every server's
 * system can detect that, and then the query runs to its end.
 */
static bool open_source(struct verify_sides *sides, struct error *err) {
    return source_open(&sides->source, &sides->config->source, sides->stop, err) &&
           session_take_bytes(&sides->source, err) && session_notice_our_end(&sides->source, err);
}

bool verify_sides_open(struct verify_sides *sides, const struct config *config,
                       const struct config_sink *sink, uint64_t rate_bytes, const atomic_bool *stop,
                       struct error *err) {
    *sides = (struct verify_sides){
        .config = config_part_of(config, sink), .ops = sink->ops, .sink = &sink->sink, .stop = stop};
    snprintf(sides->application, sizeof sides->application, "%s verify", config->source.application);
    const struct comparison_terms terms = {
        .source = &sides->source, .application = sides->application, .rate_bytes = rate_bytes, .stop = stop};
    return open_source(sides, err) && sink->ops->admin->compare(sides->sink, &terms, &sides->comparison, err);
}

void verify_sides_release(struct verify_sides *sides) {
    free(sides->snapshot);
    if (sides->comparison != NULL)
        sides->comparison->ops->close(sides->comparison);
    session_close(&sides->source);
}

/* ---- the source's snapshot ---- */

/*
 * A statement takes its snapshot before it calls functions: every change that it sees ended before this LSN.
 */
bool verify_sides_pin_source(struct verify_sides *sides, struct error *err) {
    static const char SQL[] =
        "select case when pg_is_in_recovery() then pg_last_wal_replay_lsn() else pg_current_wal_insert_lsn() "
        "end,"
        " (select setting from pg_settings where name = 'wal_block_size'),"
        " (select setting from pg_settings where name = 'wal_segment_size'),"
        " coalesce((select active from pg_replication_slots where slot_name = $1), false),"
        " pg_is_in_recovery(), pg_current_snapshot()";
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const parameters[] = {sides->config->source.slot};
    lsn_t lsn = 0;
    if (!session_execute(&sides->source, "begin isolation level repeatable read read only", err) ||
        !session_query(&sides->source, SQL, 1, parameters,
                       &(const struct result_shape){"the query for the end of its WAL", 1, 1, 6, 0}, &result,
                       err))
        return false;
    if (!lsn_parse(PQgetvalue(result, 0, 0), &lsn))
        return error_set(err, ERROR_PROTOCOL, "source: \"%s\" is not an LSN", PQgetvalue(result, 0, 0));
    sides->source_lsn = wal_page_record_end(lsn, strtoull(PQgetvalue(result, 0, 1), NULL, 10),
                                            strtoull(PQgetvalue(result, 0, 2), NULL, 10));
    sides->is_fed = result_is_true(result, 0, 3);
    sides->is_standby = result_is_true(result, 0, 4);
    free(sides->snapshot);
    sides->snapshot = strdup(PQgetvalue(result, 0, 5));
    return sides->snapshot != NULL ? true : error_no_memory(err);
}

/* ---- the target's snapshot ---- */

bool verify_sides_pin_target(struct verify_sides *sides, struct error *err) {
    return sides->comparison->ops->pin(sides->comparison, &sides->target_lsn, err);
}

static bool is_slot_active(struct verify_sides *sides, bool *ret_active, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const parameters[] = {sides->config->source.slot};
    if (!session_query(&sides->source, "select from pg_replication_slots where slot_name = $1 and active", 1,
                       parameters, &(const struct result_shape){"the query for the slot", 0, 1, 0, 0},
                       &result, err))
        return false;
    *ret_active = PQntuples(result) == 1;
    return true;
}

static bool pause(struct verify_sides *sides, struct error *err) {
    bool ready = false;
    return sides->comparison->ops->unpin(sides->comparison, err) &&
           session_wait(&sides->source, false, POLL_MS, &ready, err);
}

static void say_waiting(const struct verify_sides *sides) {
    log_line(LOG_VERIFY_WAITS_FOR_SINK, "waiting for sink %s to pass %s; it is at %s", sides->sink->name,
             lsn_format(sides->source_lsn).text, lsn_format(sides->target_lsn).text);
}

/* Decides whether to keep waiting. Fails if an engine feeds the target and the position does not advance. */
static bool judge_waiting(struct verify_sides *sides, struct waiting *waiting, struct error *err) {
    int64_t now_ms = clock_now_ms();
    if (sides->target_lsn != waiting->lsn) {
        waiting->lsn = sides->target_lsn;
        waiting->moved_ms = now_ms;
    }
    if (now_ms - waiting->moved_ms > STANDSTILL_MS)
        return error_set(
            err, ERROR_RETRY,
            "sink %s has been at %s for %d seconds, the source is at %s: see the log of the running engine",
            sides->sink->name, lsn_format(sides->target_lsn).text, STANDSTILL_MS / 1000,
            lsn_format(sides->source_lsn).text);
    if (now_ms - waiting->said_ms > SAY_INTERVAL_MS) {
        waiting->said_ms = now_ms;
        say_waiting(sides);
    }
    if (now_ms - waiting->slot_ms <= SLOT_INTERVAL_MS)
        return true;
    waiting->slot_ms = now_ms;
    return is_slot_active(sides, &sides->is_fed, err);
}

bool verify_sides_pin(struct verify_sides *sides, struct error *err) {
    if (!verify_sides_pin_source(sides, err) || !verify_sides_pin_target(sides, err))
        return false;
    int64_t now_ms = clock_now_ms();
    struct waiting waiting = {
        .moved_ms = now_ms, .said_ms = now_ms, .slot_ms = now_ms, .lsn = sides->target_lsn};
    while (sides->is_fed && sides->target_lsn < sides->source_lsn) {
        if (!judge_waiting(sides, &waiting, err) || !pause(sides, err) ||
            !verify_sides_pin_target(sides, err))
            return false;
    }
    return true;
}

bool verify_sides_unpin(struct verify_sides *sides, struct error *err) {
    return session_execute(&sides->source, "rollback", err) &&
           sides->comparison->ops->unpin(sides->comparison, err);
}

bool verify_sides_ping(struct verify_sides *sides, struct error *err) {
    return sides->comparison->ops->ping(sides->comparison, err) &&
           session_execute(&sides->source, "select", err);
}
