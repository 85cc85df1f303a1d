/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch.c - the thread that checks the source's catalog.
 *
 * A check that finds a fault counts only when a second one confirms it: DROP and CREATE may be followed a
 * moment later by ALTER PUBLICATION. A check that fails to run reports nothing: the stream itself notices
 * that the source is gone.
 */
#include "cdc/engine/watch.h"

#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/engine/published.h"
#include "cdc/source/failover.h"
#include "cdc/source/source.h"

enum {
    INTERVAL_MS = 60000,
    PAUSE_MS = 1000, /* between two checks */
    REACH_MS =
        10000, /* a check waits this long for a sink; a sink that is later is checked again next time */
    REACH_STEP_MS = 20,
    ARENA_BLOCK_BYTES = 64 * 1024,
    WAITS_BYTES_MAX = 64 * 1024,
};
#define ARENA_BYTES_MAX ((size_t) 512 << 20)

static bool is_stopped(const struct watch *watch) {
    return atomic_load(&watch->stop);
}

/* True when the next check is due; doubts: the last check found what a second one is to confirm. */
static bool wait_turn(struct watch *watch, bool doubts) {
    const int64_t since_ms = clock_now_ms();
    bool is_soon = doubts;
    while (!is_stopped(watch)) {
        int64_t left_ms = since_ms + (is_soon ? PAUSE_MS : FAULT_INTERVAL_MS(INTERVAL_MS)) - clock_now_ms();
        struct pollfd fd = {.fd = watch->wake_fd, .events = POLLIN};
        eventfd_t count;
        if (left_ms <= 0)
            return true;
        if (poll(&fd, 1, (int) left_ms) > 0 && eventfd_read(watch->wake_fd, &count) == 0)
            is_soon = true;
    }
    return false;
}

static void watch_say(struct watch *watch, const char *warning) {
    if (warning[0] != '\0' && strcmp(warning, watch->warned) != 0)
        log_line(LOG_TABLES_UNLIKE, "%s", warning);
    memcpy(watch->warned, warning, SCOPE_WARNING_MAX);
}

/*
 * The stream is silent until those standbys have the changes; nothing else would say why. A busy server waits
 * for each of them all the time, for a moment. So it is said when two checks find the same: the text has how
 * far each has confirmed.
 */
static bool say_waits(struct watch *watch, struct session *session, struct error *err) {
    struct buffer waits AUTO(buffer_release) = {.bytes_max = WAITS_BYTES_MAX};
    if (!failover_read_waits(session, watch->config->source.slot, &waits, err))
        return false;
    const char *text = buffer_text(&waits);
    if (text == NULL)
        return error_no_memory(err);
    const bool is_stuck =
        text[0] != '\0' && strncmp(text, watch->awaited, sizeof watch->awaited - 1) == 0;
    watch->looks_again = text[0] != '\0' && watch->awaited[0] == '\0';
    if (is_stuck && !watch->says_waits)
        log_line(LOG_STANDBYS_AWAITED,
                 "the source sends nothing until the standbys of synchronized_standby_slots have it: %s",
                 text);
    if (text[0] == '\0' && watch->says_waits)
        log_line(LOG_STANDBYS_CONFIRMED,
                 "the standbys of synchronized_standby_slots have confirmed; the source sends");
    watch->says_waits = text[0] != '\0' && (watch->says_waits || is_stuck);
    snprintf(watch->awaited, sizeof watch->awaited, "%s", text);
    return true;
}

/* The clock is read first: everything committed before that time is before the end. */
bool wal_sample_read(struct session *source, struct wal_sample *sample, struct error *err) {
    static const char SQL[] =
        "select (extract(epoch from pg_catalog.clock_timestamp()) * 1000000)::bigint,"
        " case when pg_catalog.pg_is_in_recovery() then pg_catalog.pg_last_wal_replay_lsn()"
        " else pg_catalog.pg_current_wal_flush_lsn() end";
    PGresult *result AUTO_PGRESULT = NULL;
    lsn_t end_lsn = 0;
    if (!session_query(source, SQL, 0, NULL,
                       &(const struct result_shape){"the query for the end of its WAL", 1, 1, 2, 0}, &result,
                       err))
        return false;
    if (!lsn_parse(PQgetvalue(result, 0, 1), &end_lsn))
        return error_set(err, ERROR_PROTOCOL, "source: no answer to where its WAL ends");
    sample->time_us = strtoll(PQgetvalue(result, 0, 0), NULL, 10);
    sample->end_lsn = end_lsn;
    sample->number++;
    return true;
}

static bool take_sample(struct watch *watch, struct session *session, struct error *err) {
    struct wal_sample sample = watch_sample(watch);
    if (!wal_sample_read(session, &sample, err))
        return false;
    pthread_mutex_lock(&watch->lock);
    watch->sample = sample;
    pthread_mutex_unlock(&watch->lock);
    eventfd_write(watch->event_fd, 1);
    return true;
}

struct wal_sample watch_sample(struct watch *watch) {
    pthread_mutex_lock(&watch->lock);
    struct wal_sample sample = watch->sample;
    pthread_mutex_unlock(&watch->lock);
    return sample;
}

/* A sink that still has the row in its queue has not lost it. */
static bool sink_reaches(void *context, size_t index, lsn_t lsn) {
    struct watch *watch = context;
    const int64_t since_ms = clock_now_ms();
    while (!is_stopped(watch) && clock_now_ms() - since_ms < REACH_MS) {
        if (runner_position(&watch->runners[index]).end_lsn >= lsn)
            return true;
        poll(NULL, 0, REACH_STEP_MS);
    }
    return false;
}

/* Tables that were published while the pipeline runs have no initial copy. */
static bool check_newcomers(struct watch *watch, struct session *session, struct error *err) {
    for (size_t i = 0; i < watch->runner_count; i++)
        if (atomic_load(&watch->runners[i].is_copying))
            return true; /* a row may be in a chunk that is not copied yet */
    const struct uncopied_sinks sinks = {.reaches = sink_reaches, .context = watch};
    watch->found_newcomers =
        !uncopied_refuse_newcomers(watch->config, session, &sinks, watch->looked_at, &watch->stop, err);
    return !watch->found_newcomers;
}

/* The first table that no command has planned to copy. */
static const struct table *find_unknown(const struct table_list *tables, const struct published *published) {
    for (size_t i = 0; i < tables->count; i++)
        if (!published_has(published, tables->tables[i].oid))
            return &tables->tables[i];
    return NULL;
}

static bool look_published(struct watch *watch, struct session *session, const struct published *published,
                           struct arena *arena, struct error *err) {
    struct uncopied_published found = {0};
    const struct xid_snapshot *since = watch->looked.xmax != 0 ? &watch->looked : &published->snapshot;
    if (!session_execute(session, "begin isolation level repeatable read read only", err) ||
        !uncopied_find_published(watch->config, session, since, arena, &found, err))
        return false;
    const struct table *unknown = find_unknown(&found.tables, published);
    watch->found_newcomers = unknown != NULL;
    if (unknown == NULL && found.now.xmax != 0) {
        xid_snapshot_release(&watch->looked);
        watch->looked = found.now;
    } else {
        xid_snapshot_release(&found.now);
    }
    return unknown != NULL ? uncopied_refuse_published(watch->config, unknown, err)
                           : session_execute(session, "rollback", err);
}

/* The same for sinks that append. */
static bool check_published(struct watch *watch, struct session *session, struct error *err) {
    struct published published = {0};
    struct arena arena;
    if (!watch->looks_published)
        return true;
    arena_init(&arena, ARENA_BLOCK_BYTES, ARENA_BYTES_MAX);
    bool good = published_read(watch->config->state, watch->config->name, &published, err) &&
                look_published(watch, session, &published, &arena, err);
    published_release(&published);
    arena_release(&arena);
    return good;
}

/* False: the check found a fault, which is in *err. */
static bool watch_look(struct watch *watch, struct error *err) {
    struct session session = {0};
    char warning[SCOPE_WARNING_MAX] = "";
    const struct source_config *source = &watch->config->source;
    if (!source_open(&session, source, &watch->stop, err)) {
        session_close(&session);
        return true;
    }
    bool looked = take_sample(watch, &session, err) && say_waits(watch, &session, err) &&
                  scope_check_kept(&session, source, watch->sent, warning, err) &&
                  scope_check(&session, source, SCOPE_RUNNING, warning, err) &&
                  check_newcomers(watch, &session, err) && check_published(watch, &session, err);
    session_close(&session);
    if (looked)
        watch_say(watch, warning);
    return looked || err->kind != ERROR_CONFIG || err->sqlstate[0] != '\0';
}

static void *watch_main(void *argument) {
    struct watch *watch = argument;
    bool doubts = false;
    while (wait_turn(watch, doubts || watch->looks_again)) {
        struct error error = {0};
        bool good = watch_look(watch, &error);
        if (!good && doubts) {
            watch->error = error;
            atomic_store(&watch->state, WATCH_FAILED);
            eventfd_write(watch->event_fd, 1);
            break;
        }
        doubts = !good;
    }
    return NULL;
}

bool watch_start(struct watch *watch, struct error *err) {
    watch->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (watch->wake_fd < 0)
        return error_errno(err, "eventfd");
    int failure = pthread_create(&watch->thread, NULL, watch_main, watch);
    watch->started = failure == 0;
    if (watch->started)
        return true;
    close(watch->wake_fd);
    return error_set(err, ERROR_SYSTEM, "a thread for the catalog: %s", strerror(failure));
}

void watch_poke(struct watch *watch) {
    if (watch->started)
        eventfd_write(watch->wake_fd, 1);
}

void watch_stop(struct watch *watch) {
    if (!watch->started)
        return;
    atomic_store(&watch->stop, true);
    eventfd_write(watch->wake_fd, 1);
    pthread_join(watch->thread, NULL);
    close(watch->wake_fd);
    xid_snapshot_release(&watch->looked);
    watch->started = false;
}
