/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_postgres.c - a reader that asks again and again which rows are there.
 *
 * Transactions become visible in another order than they were numbered, so it asks for everything above the
 * numbers that it has seen without a gap. A row counts as seen when the answer is here, which is never too
 * early, and at most one interval and one query too late. Both are measured and said.
 */
#include "bench/lag/watch.h"

#include <inttypes.h>
#include <time.h>

#include "cdc/base/clock.h"
#include "cdc/pq/session.h"

#define INTERVAL_US 1000

/* The table is empty when the plan is made; a plan for an empty table would read all of a full one. */
static const char GUCS[] = "-c enable_seqscan=off -c enable_bitmapscan=off -c jit=off "
                           "-c plan_cache_mode=force_generic_plan";
static const char QUERY[] = "select mark from public.lag where number >= $1::bigint";

struct reader_costs {
    int64_t polls;
    int64_t query_us; /* of all polls */
    int64_t gap_us;   /* between two answers, the longest */
};

static bool prepare(struct session *session, struct error *err) {
    PGresult *result = PQprepare(session->conn, "seen", QUERY, 1, NULL);
    const bool done = PQresultStatus(result) == PGRES_COMMAND_OK || session_error(session, result, err);
    PQclear(result);
    return done;
}

static bool note_rows(struct arrivals *arrivals, const PGresult *rows, int64_t now_us, struct error *err) {
    for (int i = 0; i < PQntuples(rows); i++) {
        const char *rest;
        const int64_t seen = arrivals->seen, repeated = arrivals->repeated;
        if (!arrivals_note_all(arrivals, PQgetvalue(rows, i, 0), (size_t) PQgetlength(rows, i, 0), now_us,
                               &rest, err))
            return false;
        if (arrivals->seen == seen && arrivals->repeated == repeated)
            return error_set(err, ERROR_DATA, "a row of public.lag has no mark");
        arrivals->repeated = repeated; /* a row above a gap is read again, that is all */
    }
    return true;
}

static bool ask(struct session *session, struct arrivals *arrivals, struct error *err) {
    char below[24];
    snprintf(below, sizeof below, "%" PRId64, arrivals->below);
    if (PQsendQueryPrepared(session->conn, "seen", 1, (const char *[]){below}, NULL, NULL, 0) == 0)
        return session_error(session, NULL, err);
    AUTO_PGRESULT PGresult *rows = NULL;
    AUTO_PGRESULT PGresult *end = NULL;
    if (!session_next_result(session, &rows, err))
        return false;
    const int64_t now_us = clock_now_us();
    if (PQresultStatus(rows) != PGRES_TUPLES_OK)
        return session_error(session, rows, err);
    return session_next_result(session, &end, err) && note_rows(arrivals, rows, now_us, err);
}

static void pause_us(int64_t interval_us) {
    const struct timespec interval = {.tv_nsec = interval_us * 1000};
    clock_nanosleep(CLOCK_MONOTONIC, 0, &interval, NULL);
}

static bool watch(struct session *session, struct arrivals *arrivals, const atomic_bool *stop,
                  struct reader_costs *costs, struct error *err) {
    int64_t last_us = 0;
    while (!*stop && !arrivals_are_complete(arrivals)) {
        const int64_t asked_us = clock_now_us();
        if (!ask(session, arrivals, err))
            return false;
        const int64_t answered_us = clock_now_us();
        if (arrivals->seen > 1) { /* the measured ones have begun */
            costs->polls++;
            costs->query_us += answered_us - asked_us;
            if (last_us != 0 && answered_us - last_us > costs->gap_us)
                costs->gap_us = answered_us - last_us;
            last_us = answered_us;
        }
        pause_us(INTERVAL_US);
    }
    return true;
}

bool watch_postgres(const char *dsn, struct arrivals *arrivals, const atomic_bool *stop, struct error *err) {
    struct session session = {0};
    struct reader_costs costs = {0};
    const struct session_options options = {
        .dsn = dsn, .peer = "target", .application = "bench_reader", .gucs = GUCS, .stop = stop};
    const bool done = session_open(&session, &options, err) && prepare(&session, err) &&
                      watch(&session, arrivals, stop, &costs, err);
    session_close(&session);
    if (done)
        printf("{\"repeated\": 0, \"interval_us\": %d, \"polls\": %" PRId64 ", \"query_us\": %" PRId64
               ", \"gap_max_us\": %" PRId64 "}\n",
               INTERVAL_US, costs.polls, costs.polls > 0 ? costs.query_us / costs.polls : 0, costs.gap_us);
    return done;
}
