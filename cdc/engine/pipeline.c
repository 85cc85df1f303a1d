/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline.c - runs attempts, with a growing pause between them.
 */
#include "cdc/engine/pipeline.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/shell_word.h"
#include "cdc/engine/attempt.h"
#include "cdc/engine/state_lock.h"

#define LIMIT_EXCEEDED "53400" /* all replication slots are in use */

enum {
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 15000,
    PAUSE_STEP_MS = 50,
    FIRST_RETRY_MS = 30000, /* a server that starts at the same time as we do is up by then */
};

static bool is_stopped(const struct pipeline *pipeline) {
    return atomic_load_explicit(pipeline->options->stop, memory_order_relaxed);
}

/* Between half of pause_ms and all of it, so that many engines do not reconnect at once. */
static void pause_before_retry(const struct pipeline *pipeline, int pause_ms) {
    int64_t jitter_ms = clock_now_us() % (pause_ms / 2 + 1);
    int64_t deadline_ms = clock_now_ms() + pause_ms / 2 + jitter_ms;
    while (clock_now_ms() < deadline_ms && !is_stopped(pipeline)) {
        clock_pause_ms(PAUSE_STEP_MS);
        log_tick();
    }
}

/* ---- failures ---- */

/*
 * Next to the checkpoint, for `status` and `check`. The failure of a group is not stored: the next attempt
 * finds its cause.
 */
static void store_failure(struct pipeline *pipeline, const struct error *error) {
    const struct config *config = pipeline->config;
    struct failure *failure = &pipeline->failure;
    struct error err = {0};
    failure->last_us = clock_unix_us();
    if (!failure->exists)
        failure->since_us = failure->last_us;
    failure->exists = true;
    failure->attempts++;
    failure->position_lsn = pipeline->checkpoint.phase == CHECKPOINT_STREAMING
                                ? checkpoint_confirmed_lsn(&pipeline->checkpoint)
                                : 0;
    failure->error = *error;
    if (!failure_write(config->state, config->name, failure, &err))
        log_line(LOG_FAILURE_NOT_STORED, "the error cannot be stored for `pgcdc status`: %s", err.text);
}

/* The same error is one line again, whatever the pause. */
static void log_retry(const struct error *error, int pause_ms) {
    log_line(LOG_ATTEMPT_FAILED, "the attempt failed: %s; retrying within %d ms", error_line(error).text,
             pause_ms);
    log_about(LOG_RETRY, &(struct log_subject){.error = error, .key = error->text},
              "%s; retrying within %d ms", error->text, pause_ms);
}

/* Until the first copy begins, a mistake in the configuration is the most likely cause. */
static bool is_first_start(const struct pipeline *pipeline, const struct error *error) {
    if (pipeline->waiting_since_ms != 0)
        return false;
    if (pipeline->checkpoint.phase == CHECKPOINT_NONE)
        return true;
    return pipeline->checkpoint.phase == CHECKPOINT_COPYING && strcmp(error->sqlstate, LIMIT_EXCEEDED) == 0;
}

/* An error that lasts too long ends the run. */
static bool gives_up(const struct pipeline *pipeline, int64_t since_ms, struct error *error) {
    const bool first = is_first_start(pipeline, error);
    int64_t limit_ms = pipeline->options->retry_for_ms;
    if (limit_ms == 0 && first)
        limit_ms = FIRST_RETRY_MS;
    if (limit_ms == 0 || clock_now_ms() - since_ms < limit_ms)
        return false;
    if (!first)
        return true;
    error->kind = ERROR_CONFIG;
    if (error->remedy[0] == '\0')
        error_remedy(error, "`pgcdc check -c %s` shows what to correct; --retry-for waits longer",
                     shell_word_of_file(pipeline->config->path).text);
    return true;
}

static bool takes_renewal(const struct pipeline *pipeline) {
    return pipeline_is_renewed(pipeline) && !is_stopped(pipeline) && !pipeline->result.reached;
}

/* Between two attempts: a sink reads its options when it is opened. */
static void renew_options(struct pipeline *pipeline) {
    struct renewal *renewal = pipeline->options->renewal;
    const struct config *newer = renewal != NULL ? atomic_exchange(&renewal->config, NULL) : NULL;
    if (newer == NULL)
        return;
    for (size_t i = 0; i < pipeline->config->sink_count; i++) {
        pipeline->sink_configs[i].options = newer->sinks[i].sink.options;
        pipeline->sink_configs[i].option_count = newer->sinks[i].sink.option_count;
    }
    log_line(LOG_SINKS_RENEWED, "the sinks are opened again with the options of the configuration");
}

/* True: the stop was orderly. False: an error that waiting cannot cure. */
static bool attempt_until_final(struct pipeline *pipeline, struct error *err) {
    int pause_ms = PAUSE_MIN_MS;
    int64_t since_ms = 0; /* time of the first failure without progress; 0: none */
    while (!is_stopped(pipeline)) {
        struct error error = {0};
        pipeline->progressed = false;
        pipeline->looks_for_cause = false;
        renew_options(pipeline);
        if (attempt_run(pipeline, &error) || error.kind == ERROR_STOPPED) {
            if (!takes_renewal(pipeline))
                return true;
            pipeline_result_release(&pipeline->result);
            continue;
        }
        if (pipeline->progressed)
            pause_ms = PAUSE_MIN_MS;
        if (pipeline->progressed || since_ms == 0)
            since_ms = clock_now_ms();
        if (error.kind != ERROR_RETRY || gives_up(pipeline, since_ms, &error)) {
            if (error.kind != ERROR_RUNNING)
                store_failure(pipeline, &error);
            if (error.kind == ERROR_DATA)
                attempt_count_stop(pipeline);
            *err = error;
            return false;
        }
        if (!pipeline->looks_for_cause)
            store_failure(pipeline, &error);
        pipeline_show_live(pipeline, LIVE_RETRYING, &error);
        log_retry(&error, pause_ms);
        pause_before_retry(pipeline, pause_ms);
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
    return true;
}

static bool make_reader(struct pipeline *pipeline, struct error *err) {
    pipeline->reader = reader_new(pipeline->options->reader_ops, pipeline->config, pipeline->options->stop);
    return pipeline->reader != NULL ? true : error_no_memory(err);
}

static bool make_sinks(struct pipeline *pipeline, struct error *err) {
    const struct config *config = pipeline->config;
    const char *new_tables_of = pipeline->options->new_tables_of;
    if (config->sink_count > CHECKPOINT_SINKS_MAX)
        return error_set(err, ERROR_CONFIG, "%s: more than %d sinks in one pipeline", config->path,
                         CHECKPOINT_SINKS_MAX);
    for (size_t i = 0; i < config->sink_count; i++) {
        pipeline->sink_configs[i] = config->sinks[i].sink;
        pipeline->sink_configs[i].database = pipeline->database;
        pipeline->sink_configs[i].has_new_tables =
            new_tables_of != NULL && strcmp(config->sinks[i].sink.name, new_tables_of) == 0;
        pipeline->sinks[i] =
            sink_new(config->sinks[i].ops, &pipeline->sink_configs[i], pipeline->options->stop);
        if (pipeline->sinks[i] == NULL)
            return error_no_memory(err);
    }
    return true;
}

static bool run_locked(struct pipeline *pipeline, struct error *err) {
    const struct config *config = pipeline->config;
    struct error answer = {0};
    if (!checkpoint_read(config->state, config->name, &pipeline->checkpoint, err))
        return false;
    if (pipeline->checkpoint.phase == CHECKPOINT_CORRUPT)
        log_line(LOG_CHECKPOINT_CORRUPT, "%s/%s.checkpoint is corrupt; asking the sinks for their positions",
                 config->state, config->name);
    failure_read(config->state, config->name, &pipeline->failure);
    pipeline->failure.attempts = 0;
    pipeline->activity.written = (struct activity){.pid = getpid(), .started_us = clock_unix_us()};
    attempt_recall_activity(pipeline);
    pipeline_begin_live(pipeline);
    if (!control_open(&pipeline->control, config->state, config->name, &answer))
        log_line(LOG_NO_REQUESTS, "this engine takes no requests while it runs: %s", answer.text);
    bool good = make_reader(pipeline, err) && make_sinks(pipeline, err) && attempt_until_final(pipeline, err);
    pipeline_show_live(pipeline, LIVE_ENDED, NULL);
    control_close(&pipeline->control, config->state, config->name);
    return good;
}

static void tell_result(const struct pipeline *pipeline, int64_t began_ms, struct pipeline_result *result) {
    const struct checkpoint *checkpoint = &pipeline->checkpoint;
    *result = pipeline->result;
    for (size_t i = 0; i < pipeline->config->sink_count; i++) {
        result->transactions += atomic_load(&pipeline->metrics[i].transactions);
        result->changes += atomic_load(&pipeline->metrics[i].changes);
    }
    result->until_lsn = pipeline->until_lsn;
    if (checkpoint->phase == CHECKPOINT_STREAMING)
        result->position_lsn = checkpoint_confirmed_lsn(checkpoint);
    result->copy_interrupted = checkpoint->phase == CHECKPOINT_COPYING;
    result->duration_ms = clock_now_ms() - began_ms;
}

void pipeline_result_release(struct pipeline_result *result) {
    for (size_t i = 0; i < result->ledger_count; i++)
        ledger_release(&result->ledgers[i]);
    free(result->ledgers);
    result->ledgers = NULL;
    result->ledger_count = 0;
}

bool pipeline_is_renewed(const struct pipeline *pipeline) {
    struct renewal *renewal = pipeline->options->renewal;
    return renewal != NULL && atomic_load(&renewal->config) != NULL;
}

bool pipeline_run(const struct config *config, const struct pipeline_options *options,
                  struct pipeline_result *ret_result, struct error *err) {
    const int64_t began_ms = clock_now_ms();
    *ret_result = (struct pipeline_result){0};
    struct state_lock lock;
    struct pipeline *pipeline = calloc(1, sizeof *pipeline);
    if (pipeline == NULL)
        return error_no_memory(err);
    pipeline->config = config;
    pipeline->options = options;
    bool good = state_lock_take(&lock, config->state, config->name, err);
    if (good) {
        good = run_locked(pipeline, err);
        conflict_log_say(&pipeline->conflict_log, pipeline->sinks, config->sink_count, true);
        tell_result(pipeline, began_ms, ret_result);
        for (size_t i = 0; i < config->sink_count; i++)
            sink_free(pipeline->sinks[i]);
    }
    reader_free(pipeline->reader);
    state_lock_release(&lock);
    free(pipeline->gone);
    generated_columns_release(&pipeline->generated);
    arena_release(&pipeline->tables_arena);
    free(pipeline);
    return good;
}
