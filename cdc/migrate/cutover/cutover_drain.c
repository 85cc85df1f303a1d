/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_drain.c - a mark is written into the WAL, and the engine is asked to apply everything before it.
 *
 * The engine holds, gets a snapshot that sees the mark and an LSN after it (cdc/engine/barrier.h), and
 * answers "release" when all of it is visible in the target. The row of the state is committed after that and
 * waits for the target's disk, so what was applied before it is durable too.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/engine/control.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/source/wal_page.h"

enum { PAUSE_MS = 50, DRAIN_MAX_MS = 60000 };

static bool write_mark(struct cutover *cutover, struct error *err) {
    return session_query(&cutover->from, "select pg_logical_emit_message(true, 'pgcdc', $1)", 1,
                         (const char *const[]){cutover->step}, NULL, NULL, err);
}

/* "advance LSN SNAPSHOT" */
static bool make_advance(struct cutover *cutover, char request[static CONTROL_LINE_MAX], struct error *err) {
    static const char SQL[] = "select pg_current_wal_insert_lsn(),"
                              " (select setting from pg_settings where name = 'wal_block_size'),"
                              " (select setting from pg_settings where name = 'wal_segment_size'),"
                              " pg_current_snapshot()";
    PGresult *rows AUTO_PGRESULT = NULL;
    lsn_t lsn = 0;
    if (!session_query(&cutover->from, SQL, 0, NULL,
                       &(const struct result_shape){"the query for the end of its WAL", 1, 1, 4, 0}, &rows,
                       err))
        return false;
    if (!lsn_parse(PQgetvalue(rows, 0, 0), &lsn))
        return error_set(err, ERROR_PROTOCOL, "%s: unexpected answer to the query for the end of its WAL",
                         cutover->from.peer);
    lsn = wal_page_record_end(lsn, strtoull(PQgetvalue(rows, 0, 1), NULL, 10),
                              strtoull(PQgetvalue(rows, 0, 2), NULL, 10));
    const int length =
        snprintf(request, CONTROL_LINE_MAX, "advance %s %s", lsn_format(lsn).text, PQgetvalue(rows, 0, 3));
    return length < CONTROL_LINE_MAX - 1 ||
           error_set(err, ERROR_REFUSE, "%s: too many transactions are open", cutover->from.peer);
}

static bool ask_in_order(struct cutover *cutover, int client, int timeout_ms, struct error *err) {
    char request[CONTROL_LINE_MAX], answer[CONTROL_LINE_MAX];
    snprintf(request, sizeof request, "hold %s", cutover->sink->sink.name);
    return control_ask(client, request, timeout_ms, &cutover->stop, answer, err) &&
           make_advance(cutover, request, err) &&
           control_ask(client, request, timeout_ms, &cutover->stop, answer, err) &&
           control_ask(client, "release", timeout_ms, &cutover->stop, answer, err);
}

static bool try_drain(struct cutover *cutover, int timeout_ms, struct error *err) {
    int client = -1;
    if (!cutover_engine_connect(&cutover->engine, &client, err))
        return false;
    const bool drained = ask_in_order(cutover, client, timeout_ms, err);
    close(client);
    return drained;
}

/* What the engine refuses it may do a moment later: it retries, or another client has it. */
bool cutover_drain_now(struct cutover *cutover, int timeout_ms, int64_t *ret_ms, struct error *err) {
    const int64_t began_ms = clock_now_ms();
    for (;;) {
        struct error error = {0};
        const int64_t left_ms = timeout_ms - (clock_now_ms() - began_ms);
        if (try_drain(cutover, left_ms > PAUSE_MS ? (int) left_ms : PAUSE_MS, &error)) {
            *ret_ms = clock_now_ms() - began_ms;
            return true;
        }
        const bool is_passing = (error.kind == ERROR_RETRY || error.kind == ERROR_REFUSE) &&
                                !(cutover->engine.is_own && atomic_load(&cutover->engine.has_ended));
        if (!is_passing || clock_now_ms() - began_ms >= timeout_ms) {
            *err = error;
            return error_wrap(err, "waiting until %s has every change", cutover->to.peer);
        }
        clock_pause_ms(PAUSE_MS);
    }
}

bool cutover_drain(struct cutover *cutover, struct error *err) {
    int64_t took_ms = 0;
    if (!write_mark(cutover, err) ||
        !cutover_drain_now(cutover, cutover_left_ms(cutover, DRAIN_MAX_MS), &took_ms, err))
        return false;
    cutover_tell(cutover, CUTOVER_DRAINED, "every change is applied");
    return true;
}
