/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_open.c - opens reader and sinks, and decides from what they say how the attempt begins.
 */
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/engine/attempt.h"
#include "cdc/engine/start.h"

enum { TAKE_WAIT_MS = 10000 /* a run with an end waits this long for a slot that is in use */ };

/* ---- opening ---- */

bool attempt_open_reader(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    reader_reset(attempt->reader);
    if (!attempt->reader->ops->open(attempt->reader, &attempt->facts, err))
        return false;
    memcpy(pipeline->database, attempt->facts.identity.database, sizeof pipeline->database);
    return true;
}

/* Before 18 the server sends no generated columns. */
static bool read_generated(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct reader_catalog *catalog = attempt->reader->catalog;
    if (catalog == NULL || catalog->session->server_version < 180000)
        return true;
    generated_columns_release(&pipeline->generated);
    return generated_columns_read(catalog->session, &pipeline->generated, err);
}

static bool open_sinks(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    for (size_t i = 0; i < pipeline->config->sink_count; i++) {
        pipeline->sinks[i]->facts = (struct sink_facts){.system_id = attempt->facts.identity.system_id,
                                                        .timeline = attempt->facts.identity.timeline,
                                                        .gone = pipeline->gone,
                                                        .gone_count = pipeline->gone_count,
                                                        .generated = pipeline->generated.items,
                                                        .generated_count = pipeline->generated.count};
        pipeline->columns_files[i] = columns_file_of(pipeline->config->state, pipeline->config->name,
                                                     pipeline->sinks[i]->config->name);
        pipeline->sinks[i]->facts.columns = &pipeline->columns_files[i].memory;
        if (!runner_start(&attempt->runners[i], pipeline->sinks[i], &pipeline->metrics[i],
                          pipeline->options->pauses != NULL ? &pipeline->options->pauses[i] : NULL,
                          attempt->event_fd, attempt->feed.wake_fd, pipeline->careful_until_lsn[i], err))
            return false;
        attempt->runner_count++;
    }
    if (!attempt_wait_runners(attempt, RUNNER_OPENED, NULL, err))
        return false;
    for (size_t i = 0; i < attempt->runner_count; i++)
        attempt->positions[i] = runner_position(&attempt->runners[i]);
    return true;
}

/*
 * Opening a sink raises its epoch, which ends another engine that is running. So we first ask whether an
 * engine reads the slot. The slot of a killed engine is free within moments. A standby engine waits without a
 * limit.
 */
static bool check_nobody_streams(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    const struct pipeline_options *options = pipeline->options;
    const bool has_end = options->until_caught_up || options->until_lsn != 0;
    const struct slot_facts *slot = &attempt->facts.slot;
    if (options->take_over && !attempt->reader->has_streamed)
        return true;
    if (!attempt->facts.has_slot || slot->active_pid == 0) {
        pipeline->waiting_since_ms = 0;
        return true;
    }
    if (pipeline->waiting_since_ms == 0)
        pipeline->waiting_since_ms = clock_now_ms();
    const bool gives_up = has_end && clock_now_ms() - pipeline->waiting_since_ms > TAKE_WAIT_MS;
    error_set(err, gives_up ? ERROR_RUNNING : ERROR_RETRY,
              "source: slot %s is in use by the server's pid %d: another engine runs this pipeline",
              attempt->reader->name, slot->active_pid);
    return error_remedy(err, "stop that engine, or take the pipeline from it with `pgcdc run --take-over`");
}

bool attempt_open_sinks(struct attempt *attempt, struct error *err) {
    return check_nobody_streams(attempt, err) && read_generated(attempt, err) && open_sinks(attempt, err);
}

/* ---- deciding ---- */

static bool check_forks(struct attempt *attempt, struct error *err) {
    struct reader *reader = attempt->reader;
    const struct source_identity *identity = &attempt->facts.identity;
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct position *position = &attempt->positions[i];
        lsn_t fork_lsn = 0;
        if (reader->ops->fork_lsn == NULL || !start_can_fork(position, identity))
            continue;
        struct position reached = *position;
        if (attempt->runners[i].copy_lsn > reached.end_lsn)
            reached.end_lsn = attempt->runners[i].copy_lsn;
        if (!reader->ops->fork_lsn(reader, position->timeline, &fork_lsn, err) ||
            !start_check_fork(&reached, attempt->runners[i].sink->config->name, fork_lsn, identity, err))
            return false;
        position->timeline = identity->timeline;
    }
    return true;
}

static bool resume(struct attempt *attempt, struct error *err) {
    struct reader *reader = attempt->reader;
    if (!attempt_add_newcomers(attempt, err) || !attempt_add_published(attempt, err))
        return false;
    return reader->ops->resume == NULL || reader->ops->resume(reader, attempt_has_copy(attempt), err);
}

/* A later attempt of the same run goes on from the positions that the first one has stored. */
static bool check_from(const struct attempt *attempt, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    if (pipeline->options->from_lsn == 0 || attempt->reader->has_streamed)
        return true;
    error_set(err, ERROR_CONFIG, "--from is for sinks without a position, and sink %s is at %s",
              pipeline->config->sinks[0].sink.name, lsn_format(attempt->positions[0].end_lsn).text);
    return error_remedy(err, "leave it out, and the run goes on from there");
}

/* A copy begins with a slot, whose snapshot must not wait: so a pause holds before it. */
static bool await_resume(struct attempt *attempt, struct error *err) {
    const struct pipeline *pipeline = attempt->pipeline;
    bool is_told = false;
    for (size_t i = 0; pipeline->options->pauses != NULL && i < attempt->runner_count; i++) {
        while (pause_is_wanted(&pipeline->options->pauses[i])) {
            if (attempt_is_stopped(attempt))
                return error_set(err, ERROR_STOPPED, "stopped");
            if (!is_told)
                log_line(LOG_COPY_PAUSED, "paused: the copy begins after `pgcdc resume`");
            is_told = true;
            attempt_wait_event(attempt);
        }
    }
    return true;
}

static bool act(struct attempt *attempt, enum start_action action, struct error *err) {
    switch (action) {
    case START_STREAM:
        return check_from(attempt, err) && attempt_check_rows(attempt, err) && resume(attempt, err) &&
               check_forks(attempt, err);
    case START_NEW:
    case START_COPY_AGAIN:
        return await_resume(attempt, err) && attempt_create(attempt, action == START_COPY_AGAIN, err) &&
               attempt_check_rows(attempt, err);
    case START_ADOPT:
        return attempt_adopt(attempt, attempt->facts.slot.confirmed_lsn, err);
    }
    return false;
}

bool attempt_decide(struct attempt *attempt, struct error *err) {
    struct pipeline *pipeline = attempt->pipeline;
    /* Read again: before the sinks were opened, another engine may have advanced them and the slot. */
    if (!attempt->reader->ops->look(attempt->reader, &attempt->facts, err))
        return false;
    start_complete(pipeline->config, &pipeline->checkpoint, attempt->positions);
    const struct start_facts facts = {.config = pipeline->config,
                                      .checkpoint = &pipeline->checkpoint,
                                      .identity = &attempt->facts.identity,
                                      .slot = attempt->facts.has_slot ? &attempt->facts.slot : NULL,
                                      .first_lsn = attempt->facts.first_lsn,
                                      .positions = attempt->positions};
    enum start_action action;
    if (!start_decide(&facts, &action, err))
        return false;
    attempt_debug_decision(attempt, action);
    return act(attempt, action, err);
}
