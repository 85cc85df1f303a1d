/* SPDX-License-Identifier: Apache-2.0 */
/*
 * probe_sink.c - of a sink: does its session wait for a lock, its dead letters, and what was proven equal.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/engine/verified.h"
#include "cdc/http/probe.h"

enum {
    PROBE_LOCK_MS = 2000,
    PROBE_LOOK_MS = 15000, /* each look opens a session */
    BLOCK_BYTES = 64 * 1024,
};
#define ARENA_BYTES_MAX ((size_t) 64 << 20)

/* $1: the sessions of this pipeline. The one that waits longest. */
static const char LOCK_SQL[] =
    "select coalesce(pg_catalog.format('table %I.%I', n.nspname, c.relname), 'a ' || l.locktype) ||"
    " ' is locked, and has been waited for since '"
    " || pg_catalog.date_trunc('second', coalesce(l.waitstart, a.state_change))"
    " || coalesce(', by pid ' || pg_catalog.array_to_string(pg_catalog.pg_blocking_pids(a.pid), ', '), '')"
    " from pg_catalog.pg_stat_activity a"
    " join pg_catalog.pg_locks l on l.pid = a.pid and not l.granted"
    " left join pg_catalog.pg_class c on c.oid = l.relation"
    "  and l.database = (select oid from pg_catalog.pg_database"
    "   where datname = pg_catalog.current_database())"
    " left join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
    " where a.application_name = $1 and a.datname = pg_catalog.current_database()"
    "  and a.pid <> pg_catalog.pg_backend_pid()"
    " order by l.waitstart nulls last limit 1";

static bool ask_lock(struct sink_probe *probe, struct session *session, struct sink_probe_facts *facts,
                     struct error *err) {
    const struct config_sink *sink = probe->sink;
    PGresult *result AUTO_PGRESULT = NULL;
    const struct result_shape shape = {"the query for locks", 0, 1, 1, RESULT_NULL_ANYWHERE};
    struct session_options options = {.stop = &probe->probes->stop};
    if (sink_admin(sink->ops, target) == NULL)
        return true;
    sink->ops->admin->target(&sink->sink, &options);
    options.stop = &probe->probes->stop;
    options.is_observer = true;
    if ((session->conn == NULL && !session_open(session, &options, err)) ||
        !session_query(session, LOCK_SQL, 1, (const char *[]){sink->sink.application}, &shape, &result, err))
        return false;
    snprintf(facts->lock, sizeof facts->lock, "%s", PQntuples(result) == 1 ? PQgetvalue(result, 0, 0) : "");
    return true;
}

static bool look_at_sink(struct sink_probe *probe, struct sink_probe_facts *facts, struct error *err) {
    struct sink_view view = {0};
    const struct config_sink *sink = probe->sink;
    if (sink_admin(sink->ops, look) == NULL)
        return true;
    if (!sink_look(sink->ops, &sink->sink, &probe->probes->stop, &view, err))
        return false;
    facts->dead = view.dead;
    facts->is_looked_at = true;
    return true;
}

static void look_at_proofs(struct sink_probe *probe, struct sink_probe_facts *facts) {
    struct arena arena;
    struct verified verified = {0};
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    verified_read(probe->part->state, probe->part->name, probe->sink->sink.name, VERIFIED_CONTINUOUSLY,
                  &arena, &verified);
    facts->table_count = 0;
    for (size_t i = 0; i < verified.count && facts->table_count < PROBE_TABLES_MAX; i++) {
        struct probe_table *table = &facts->tables[facts->table_count++];
        const struct verified_table *from = &verified.tables[i];
        *table = (struct probe_table){.equal_us = from->equal_us,
                                      .equal_lsn = from->equal_lsn,
                                      .differs = verified_count(from, VERIFIED_DIFFERENT) > 0};
        snprintf(table->name, sizeof table->name, "%s.%s", from->schema, from->name);
    }
    arena_release(&arena);
}

static bool ask_sink(struct sink_probe *probe, struct session *session, struct sink_probe_facts *facts,
                     struct error *err) {
    const int64_t now_ms = clock_now_ms();
    if (!ask_lock(probe, session, facts, err))
        return false;
    if (probe->looked_ms != 0 && now_ms - probe->looked_ms < PROBE_LOOK_MS)
        return true;
    probe->looked_ms = now_ms;
    look_at_proofs(probe, facts);
    return look_at_sink(probe, facts, err);
}

static void probe_sink_once(struct sink_probe *probe, struct session *session,
                            struct sink_probe_facts *facts) {
    struct probes *probes = probe->probes;
    struct error err = {0};
    pthread_mutex_lock(&probes->lock);
    probe->facts.answer.asked_ms = clock_now_ms();
    pthread_mutex_unlock(&probes->lock);
    facts->answer.error[0] = facts->lock[0] = '\0';
    if (ask_sink(probe, session, facts, &err)) {
        facts->answer.answered_ms = clock_now_ms();
    } else {
        session_close(session);
        snprintf(facts->answer.error, sizeof facts->answer.error, "%.*s", PROBE_TEXT_MAX - 1, err.text);
    }
    facts->answer.asked_ms = 0;
    pthread_mutex_lock(&probes->lock);
    probe->facts = *facts;
    pthread_mutex_unlock(&probes->lock);
}

void *probe_sink_main(void *argument) {
    struct sink_probe *probe = argument;
    struct session session = {0};
    struct sink_probe_facts *facts = calloc(1, sizeof *facts);
    while (facts != NULL && probes_wait(probe->probes, PROBE_LOCK_MS))
        probe_sink_once(probe, &session, facts);
    session_close(&session);
    free(facts);
    return NULL;
}
