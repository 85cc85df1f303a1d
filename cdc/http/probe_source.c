/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_source.c - once a second: where the WAL ends, and how the slot is.
 *
 * A sink is caught up with a sample when it has reached it; or when nothing is on its way to it, since the
 * stream has named the sample's end: WAL that has nothing for a sink is no lag.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/http/lag.h"
#include "cdc/http/probe.h"
#include "cdc/source/source.h"

enum { PROBE_INTERVAL_MS = 1000 };

static const char SLOT_SQL[] =
    "select coalesce(s.wal_status, ''), coalesce(s.safe_wal_size, -1), coalesce(s.restart_lsn, '0/0'),"
    " coalesce(s.confirmed_flush_lsn, '0/0'), coalesce(r.spill_txns, 0), coalesce(r.spill_bytes, 0)"
    " from pg_catalog.pg_replication_slots s"
    " left join pg_catalog.pg_stat_replication_slots r on r.slot_name = s.slot_name"
    " where s.slot_name = $1";

enum { WAL_STATUS, SAFE_BYTES, RESTART_LSN, CONFIRMED_LSN, SPILL_TRANSACTIONS, SPILL_BYTES, SLOT_FIELDS };

static bool read_slot(struct session *session, const char *slot, struct source_probe_facts *facts,
                      struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const struct result_shape shape = {"the query for the slot's figures", 0, 1, SLOT_FIELDS, 0};
    if (!session_query(session, SLOT_SQL, 1, (const char *[]){slot}, &shape, &result, err))
        return false;
    facts->has_slot = PQntuples(result) == 1;
    if (!facts->has_slot)
        return true;
    facts->is_lost = strcmp(PQgetvalue(result, 0, WAL_STATUS), "lost") == 0;
    facts->safe_bytes = strtoll(PQgetvalue(result, 0, SAFE_BYTES), NULL, 10);
    facts->spill_transactions = strtoull(PQgetvalue(result, 0, SPILL_TRANSACTIONS), NULL, 10);
    facts->spill_bytes = strtoull(PQgetvalue(result, 0, SPILL_BYTES), NULL, 10);
    return (lsn_parse(PQgetvalue(result, 0, RESTART_LSN), &facts->restart_lsn) &&
            lsn_parse(PQgetvalue(result, 0, CONFIRMED_LSN), &facts->confirmed_lsn)) ||
           error_set(err, ERROR_PROTOCOL, "source: no answer to where the slot is");
}

static bool ask_source(struct probes *probes, struct session *session, struct source_probe_facts *facts,
                       struct error *err) {
    const struct source_config *source = &probes->config->source;
    if (session->conn == NULL && !source_open(session, source, &probes->stop, err))
        return false;
    return wal_sample_read(session, &facts->sample, err) && read_slot(session, source->slot, facts, err);
}

/* What the sinks had after the sample is at least what they had at it. */
static void compare_sinks(struct probes *probes, struct source_probe_facts *facts) {
    for (size_t i = 0; i < probes->live_count; i++)
        live_read(&probes->lives[i], &probes->scratch[i]);
    for (size_t i = 0; i < probes->config->sink_count; i++)
        if (lag_has(probes->scratch, probes->live_count, i, facts->sample.end_lsn))
            facts->caught_up_us[i] = facts->sample.time_us;
}

static void probe_once(struct probes *probes, struct session *session, struct source_probe_facts *facts) {
    struct error err = {0};
    pthread_mutex_lock(&probes->lock);
    probes->source.answer.asked_ms = clock_now_ms();
    pthread_mutex_unlock(&probes->lock);
    if (ask_source(probes, session, facts, &err)) {
        facts->sample_ms = facts->answer.answered_ms = clock_now_ms();
        facts->answer.error[0] = '\0';
        compare_sinks(probes, facts);
    } else {
        session_close(session);
        snprintf(facts->answer.error, sizeof facts->answer.error, "%.*s", PROBE_TEXT_MAX - 1, err.text);
    }
    facts->answer.asked_ms = 0;
    pthread_mutex_lock(&probes->lock);
    probes->source = *facts;
    pthread_mutex_unlock(&probes->lock);
}

void *probe_source_main(void *argument) {
    struct probes *probes = argument;
    struct session session = {0};
    struct source_probe_facts facts = {.safe_bytes = -1};
    do
        probe_once(probes, &session, &facts);
    while (probes_wait(probes, PROBE_INTERVAL_MS));
    session_close(&session);
    return NULL;
}
