/* SPDX-License-Identifier: Apache-2.0 */
/*
 * status.c - reads the facts in the right order, and what a start would decide.
 *
 * All positions move during the reads. slot <= disk <= sinks <= end of the WAL holds at every moment, so they
 * are read in this order: then it also holds for the values read, and a running pipeline never seems to have
 * a gap.
 */
#include "cdc/status/status.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/engine/start.h"
#include "cdc/engine/state_lock.h"
#include "cdc/engine/watch.h"
#include "cdc/source/failover.h"

enum { BLOCK_BYTES = 64 * 1024, WAITS_BYTES_MAX = 64 * 1024 };
#define ARENA_BYTES_MAX ((size_t) 512 << 20)

/* ---- the facts ---- */

static bool read_slot(struct session *source, struct status *status, struct error *err) {
    static const char SQL[] = "select coalesce(wal_status, ''), coalesce(safe_wal_size, -1)"
                              " from pg_catalog.pg_replication_slots where slot_name = $1";
    const char *parameters[] = {status->config->source.slot};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!slot_read(source, status->config->source.slot, &status->slot, err) ||
        !session_query(source, SQL, 1, parameters,
                       &(const struct result_shape){"the query for the slot's WAL", 0, 1, 2, 0}, &result,
                       err))
        return false;
    status->safe_wal_bytes = -1;
    if (PQntuples(result) == 1) {
        snprintf(status->wal_status, sizeof status->wal_status, "%s", PQgetvalue(result, 0, 0));
        status->safe_wal_bytes = strtoll(PQgetvalue(result, 0, 1), NULL, 10);
    }
    struct buffer waits AUTO(buffer_release) = {.bytes_max = WAITS_BYTES_MAX};
    if (!failover_read_waits(source, status->config->source.slot, &waits, err))
        return false;
    snprintf(status->standby_waits, sizeof status->standby_waits, "%s", buffer_text(&waits));
    return true;
}

static bool read_clock(struct session *source, struct status *status, struct error *err) {
    struct wal_sample sample = {0};
    if (!wal_sample_read(source, &sample, err))
        return false;
    status->source_us = sample.time_us;
    return true;
}

/* A sink that stores no position has the checkpoint's. */
static void look_at_disk(const struct status *status, size_t i, struct sink_status *sink) {
    const struct checkpoint_sink *on_disk =
        checkpoint_find(&status->checkpoint, &status->config->sinks[i].sink);
    sink->is_from_disk = true;
    sink->is_known =
        status->checkpoint.phase != CHECKPOINT_CORRUPT && status->checkpoint.phase != CHECKPOINT_NEWER;
    sink->view.age_ms = -1;
    if (on_disk != NULL && status->checkpoint.phase == CHECKPOINT_STREAMING)
        sink->view.position = on_disk->position;
}

static void look_at_sinks(struct status *status, const atomic_bool *stop) {
    for (size_t i = 0; i < status->config->sink_count; i++) {
        const struct config_sink *config = &status->config->sinks[i];
        struct sink_status *sink = &status->sinks[i];
        if (sink_admin(config->ops, look) == NULL)
            look_at_disk(status, i, sink);
        else
            sink->is_known = sink_look(config->ops, &config->sink, stop, &sink->view, &sink->error);
    }
}

/* After the positions: a plan is stored together with one, so a sink without a position has none. */
static bool look_at_copy(struct status *status, size_t i, const atomic_bool *stop, struct error *err) {
    const struct config_sink *config = &status->config->sinks[i];
    struct chunk_plan plan = {0};
    struct sink *sink = sink_new(config->ops, &config->sink, stop);
    if (sink == NULL)
        return error_no_memory(err);
    bool looked = config->ops->chunk->look(sink, &status->arena, &plan, err) &&
                  chunk_tally_plan(&plan, &status->arena, &status->sinks[i].copy, err);
    sink_free(sink);
    return looked;
}

static void look_at_verified(struct status *status) {
    const struct config *config = status->config;
    for (size_t i = 0; i < config->sink_count; i++)
        verified_read(config->state, config->name, config->sinks[i].sink.name, VERIFIED_CONTINUOUSLY,
                      &status->arena, &status->sinks[i].verified);
}

static void look_at_copies(struct status *status, const atomic_bool *stop) {
    for (size_t i = 0; i < status->config->sink_count; i++) {
        struct sink_status *sink = &status->sinks[i];
        if (status->config->sinks[i].ops->chunk != NULL && sink->is_known &&
            position_exists(&sink->view.position) && !look_at_copy(status, i, stop, &sink->copy_error))
            sink->copy = (struct chunk_tally_list){0};
    }
}

/* ---- the judgement ---- */

static bool any_position(const struct status *status) {
    for (size_t i = 0; i < status->config->sink_count; i++)
        if (position_exists(&status->sinks[i].view.position))
            return true;
    return status->checkpoint.phase == CHECKPOINT_STREAMING;
}

static enum pipeline_state state_of_slot(const struct status *status) {
    if (status->config->source.archive != NULL)
        return status->engine_pid != 0 ? STATE_STREAMING : any_position(status) ? STATE_STOPPED : STATE_NEW;
    if (!status->slot.exists)
        return any_position(status) ? STATE_MISSING : STATE_NEW;
    if (status->slot.is_lost)
        return STATE_LOST;
    return status->slot.active_pid != 0 ? STATE_STREAMING : STATE_STOPPED;
}

static enum pipeline_state state_of_action(const struct status *status, enum start_action action) {
    switch (action) {
    case START_STREAM:
        return state_of_slot(status);
    case START_COPY_AGAIN:
        return STATE_COPYING;
    case START_NEW:
    case START_ADOPT:
        return STATE_NEW;
    }
    return STATE_UNKNOWN;
}

/* The decision of `run`, in the same words. */
static bool status_decide(const struct status *status, enum start_action *ret_action, struct error *err) {
    struct position positions[CHECKPOINT_SINKS_MAX];
    for (size_t i = 0; i < status->config->sink_count; i++)
        positions[i] = status->sinks[i].view.position;
    const struct start_facts facts = {.config = status->config,
                                      .checkpoint = &status->checkpoint,
                                      .identity = &status->identity,
                                      .slot = status->reader != NULL ? NULL : &status->slot,
                                      .first_lsn = status->first_lsn,
                                      .positions = positions};
    return start_decide(&facts, ret_action, err);
}

/* replication is not open when an archive is read. */
static bool find_fork(struct session *replication, const struct status *status, uint32_t timeline,
                      lsn_t *ret_fork_lsn, struct error *err) {
    struct reader *reader = status->reader;
    return reader != NULL ? reader->ops->fork_lsn(reader, timeline, ret_fork_lsn, err)
                          : source_fork_lsn(replication, &status->identity, timeline, ret_fork_lsn, err);
}

static bool check_forks(struct session *replication, const struct status *status, struct error *err) {
    for (size_t i = 0; i < status->config->sink_count; i++) {
        const struct position *position = &status->sinks[i].view.position;
        lsn_t fork_lsn = 0;
        if (start_can_fork(position, &status->identity) &&
            (!find_fork(replication, status, position->timeline, &fork_lsn, err) ||
             !start_check_fork(position, status->config->sinks[i].sink.name, fork_lsn, &status->identity,
                               err)))
            return false;
    }
    return true;
}

static void status_refuse(struct status *status, const struct error *err) {
    enum pipeline_state of_slot = state_of_slot(status);
    status->state = of_slot == STATE_LOST || of_slot == STATE_MISSING ? of_slot : STATE_REFUSED;
    snprintf(status->reason, sizeof status->reason, "%s", error_line(err).text);
}

static void status_judge(struct session *replication, struct status *status) {
    struct error err = {0};
    enum start_action action;
    if (!status_is_complete(status))
        status->state = state_of_slot(status);
    else if (!status_decide(status, &action, &err) ||
             (action == START_STREAM && !check_forks(replication, status, &err)))
        status_refuse(status, &err);
    else
        status->state = state_of_action(status, action);
}

bool status_can_start(const struct status *status) {
    return status->state == STATE_NEW || status->state == STATE_COPYING || status->state == STATE_STREAMING ||
           status->state == STATE_STOPPED || status->state == STATE_RETRYING || status->state == STATE_FAILED;
}

/* A start is possible, so the failure of the last run is more important. */
static void judge_failure(struct status *status) {
    if (status->failure.exists && status_can_start(status))
        status->state = status->engine_pid != 0 ? STATE_RETRYING : STATE_FAILED;
}

/* ---- all of it ---- */

static bool open_source(struct session *source, const atomic_bool *stop, struct status *status,
                        struct error *err) {
    if (!source_open(source, &status->config->source, stop, err))
        return false;
    status->server_version = source->server_version;
    return read_slot(source, status, err) && read_clock(source, status, err);
}

static bool open_replication(struct session *replication, const atomic_bool *stop, struct status *status,
                             struct error *err) {
    return source_open_replication(replication, &status->config->source, stop, err) &&
           source_identify(replication, &status->identity, err);
}

/* An archive has no clock and no slot. */
static bool open_archive(const atomic_bool *stop, struct status *status, struct error *err) {
    struct reader_facts facts;
    status->reader = reader_new(NULL, status->config, stop);
    if (status->reader == NULL)
        return error_no_memory(err);
    if (!status->reader->ops->open(status->reader, &facts, err))
        return false;
    status->identity = facts.identity;
    status->first_lsn = facts.first_lsn;
    status->source_us = clock_unix_us();
    return true;
}

static void look_at_pauses(struct status *status) {
    struct pauses pauses;
    if (!pauses_read(&pauses, status->config, &status->pause_error))
        return;
    for (size_t i = 0; i < pauses.count; i++)
        status->sinks[i].pause = pauses_look(&pauses, i);
}

bool status_read(const struct config *config, const atomic_bool *stop, struct status *ret_status,
                 struct error *err) {
    assert(config->sink_count <= CHECKPOINT_SINKS_MAX);
    struct session source AUTO(session_close) = {0};
    struct session replication AUTO(session_close) = {0};
    struct error problem = {0};
    *ret_status = (struct status){.config = config};
    arena_init(&ret_status->arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    ret_status->engine_pid = state_lock_holder(config->state, config->name);
    const bool is_archive = config->source.archive != NULL;
    bool has_source = is_archive || open_source(&source, stop, ret_status, &problem);
    if (!checkpoint_read(config->state, config->name, &ret_status->checkpoint, err))
        return false;
    failure_read(config->state, config->name, &ret_status->failure);
    look_at_pauses(ret_status);
    activity_read(config->state, config->name, &ret_status->activity);
    ret_status->activity_is_current =
        ret_status->activity.exists && ret_status->activity.pid == ret_status->engine_pid;
    look_at_sinks(ret_status, stop);
    look_at_copies(ret_status, stop);
    look_at_verified(ret_status);
    has_source = has_source && (is_archive ? open_archive(stop, ret_status, &problem)
                                           : open_replication(&replication, stop, ret_status, &problem));
    if (problem.kind == ERROR_STOPPED)
        return error_set(err, ERROR_STOPPED, "stopped");
    if (has_source) {
        status_judge(&replication, ret_status);
        judge_failure(ret_status);
    } else {
        ret_status->state = STATE_UNKNOWN;
        snprintf(ret_status->reason, sizeof ret_status->reason, "%s", problem.text);
    }
    return true;
}

void status_release(struct status *status) {
    if (status->reader != NULL)
        status->reader->ops->close(status->reader);
    reader_free(status->reader);
    arena_release(&status->arena);
}

bool status_is_complete(const struct status *status) {
    for (size_t i = 0; i < status->config->sink_count; i++)
        if (!status->sinks[i].is_known)
            return false;
    return status->state != STATE_UNKNOWN;
}

bool status_is_degraded(const struct status *status) {
    for (size_t i = 0; i < status->config->sink_count; i++)
        if (status->sinks[i].view.dead.failed + status->sinks[i].view.dead.waiting > 0)
            return true;
    return false;
}

const char *pipeline_state_name(enum pipeline_state state) {
    static const char *const NAMES[] = {
        [STATE_NEW] = "new",           [STATE_COPYING] = "copying", [STATE_STREAMING] = "streaming",
        [STATE_STOPPED] = "stopped",   [STATE_LOST] = "lost",       [STATE_MISSING] = "missing",
        [STATE_RETRYING] = "retrying", [STATE_FAILED] = "failed",   [STATE_REFUSED] = "refused",
        [STATE_UNKNOWN] = "unknown",
    };
    return NAMES[state];
}

int64_t status_lag_ms(const struct status *status, size_t sink) {
    const struct position *position = &status->sinks[sink].view.position;
    const struct activity_sink *activity =
        activity_find(&status->activity, status->config->sinks[sink].sink.name);
    if (status->identity.flush_lsn == 0 || status->source_us == 0 || !position_exists(position))
        return -1;
    if (position->end_lsn >= status->identity.flush_lsn)
        return 0;
    return activity != NULL ? activity_lag_ms(activity, status->source_us) : -1;
}

uint64_t status_lag_bytes(const struct status *status, lsn_t lsn) {
    return lsn < status->identity.flush_lsn ? status->identity.flush_lsn - lsn : 0;
}
