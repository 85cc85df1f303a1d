/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline.c - attempt after attempt, with a growing pause between them.
 */
#include "cdc/pipeline.h"

#include <stdlib.h>

#include "cdc/attempt.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/state_lock.h"

enum {
    PAUSE_MIN_MS = 100,
    PAUSE_MAX_MS = 15000,
    PAUSE_STEP_MS = 50,
};

static bool is_stopped(const struct pipeline *pipeline) {
    return atomic_load_explicit(pipeline->options->stop, memory_order_relaxed);
}

/* Between half of pause_ms and all of it, so that many engines do not come back at once. */
static void pause_before_retry(const struct pipeline *pipeline, int pause_ms) {
    int64_t jitter_ms = clock_now_us() % (pause_ms / 2 + 1);
    int64_t deadline_ms = clock_now_ms() + pause_ms / 2 + jitter_ms;
    while (clock_now_ms() < deadline_ms && !is_stopped(pipeline))
        clock_pause_ms(PAUSE_STEP_MS);
}

/* True: ended in peace. False with an error that waiting cannot cure. */
static bool attempt_until_final(struct pipeline *pipeline, struct error *err) {
    int pause_ms = PAUSE_MIN_MS;
    while (!is_stopped(pipeline)) {
        struct error error = {0};
        pipeline->progressed = false;
        if (attempt_run(pipeline, &error) || error.kind == ERROR_STOPPED)
            return true;
        if (error.kind != ERROR_RETRY) {
            *err = error;
            return false;
        }
        if (pipeline->progressed)
            pause_ms = PAUSE_MIN_MS;
        log_line(LOG_LEVEL_WARNING, "%s; starting again in %d ms at most", error_line(&error).text, pause_ms);
        pause_before_retry(pipeline, pause_ms);
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    }
    return true;
}

static bool make_sinks(struct pipeline *pipeline, struct error *err) {
    const struct config *config = pipeline->config;
    if (config->sink_count > CHECKPOINT_SINKS_MAX)
        return error_set(err, ERROR_CONFIG, "%s: more than %d sinks in one pipeline", config->path,
                         CHECKPOINT_SINKS_MAX);
    for (size_t i = 0; i < config->sink_count; i++) {
        pipeline->sink_configs[i] = config->sinks[i].sink;
        pipeline->sink_configs[i].database = pipeline->database;
        pipeline->sinks[i] = sink_new(config->sinks[i].ops, &pipeline->sink_configs[i]);
        if (pipeline->sinks[i] == NULL)
            return error_no_memory(err);
    }
    return true;
}

static bool run_locked(struct pipeline *pipeline, struct error *err) {
    const struct config *config = pipeline->config;
    if (!checkpoint_read(config->state, config->name, &pipeline->checkpoint, err))
        return false;
    if (pipeline->checkpoint.phase == CHECKPOINT_CORRUPT)
        log_line(LOG_LEVEL_WARNING, "%s/%s.checkpoint is corrupt; asking the sinks for their positions",
                 config->state, config->name);
    return make_sinks(pipeline, err) && attempt_until_final(pipeline, err);
}

static void tell_result(const struct pipeline *pipeline, int64_t began_ms, struct pipeline_result *result) {
    const struct checkpoint *checkpoint = &pipeline->checkpoint;
    *result = pipeline->result;
    result->until_lsn = pipeline->until_lsn;
    if (checkpoint->phase == CHECKPOINT_STREAMING)
        result->position_lsn = checkpoint_confirmed_lsn(checkpoint);
    result->copy_interrupted = checkpoint->phase == CHECKPOINT_COPYING;
    result->duration_ms = clock_now_ms() - began_ms;
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
        tell_result(pipeline, began_ms, ret_result);
        for (size_t i = 0; i < config->sink_count; i++)
            sink_free(pipeline->sinks[i]);
    }
    state_lock_release(&lock);
    free(pipeline->gone);
    free(pipeline);
    return good;
}
