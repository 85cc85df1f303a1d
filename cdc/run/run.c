/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - what works beside the pipeline ends with it.
 */
#include "cdc/run/run.h"

#include <stdlib.h>

#include "cdc/control/console.h"
#include "cdc/engine/buffered.h"
#include "cdc/http/http.h"
#include "cdc/sequences/sequences_follower.h"
#include "cdc/service/service.h"
#include "cdc/verify/verify_continuous.h"

static bool run_pipeline(const struct config *config, const struct pipeline_options *options,
                         struct pipeline_result *ret_result, const struct config **ret_failed,
                         struct error *err) {
    return config->part_count > 0 ? buffered_run(config, options, ret_result, ret_failed, err)
                                  : pipeline_run(config, options, ret_result, err);
}

/* The pipeline, and what works beside it with sessions of its own. */
static bool run_beside(const struct config *config, const struct pipeline_options *options,
                       struct pipeline_result *ret_result, const struct config **ret_failed,
                       struct error *err) {
    struct verify_continuous verifying;
    struct sequences_follower sequences;
    if (!verify_continuous_start(&verifying, config, err))
        return false;
    const bool done = sequences_follower_start(&sequences, config, err) &&
                      run_pipeline(config, options, ret_result, ret_failed, err);
    sequences_follower_end(&sequences);
    verify_continuous_end(&verifying);
    return done;
}

/* The operator's thread, and those who are told what the engine knows of itself, end after the pipeline. */
static bool run_told(struct console *console, const struct config *config, struct pipeline_options *options,
                     const struct lives *lives, struct pipeline_result *ret_result,
                     const struct config **ret_failed, struct error *err) {
    struct http *http;
    struct service service;
    if (!console_open(console, config, options, err) ||
        !http_start(config, lives, &console->pauses, &console->stalled_ms, &http, err))
        return false;
    const bool done = service_start(&service, lives, options->stop, err) &&
                      console_start(console, options, err) &&
                      run_beside(config, options, ret_result, ret_failed, err);
    service_end(&service);
    http_end(http);
    return done;
}

bool run_all(const struct config *config, const struct pipeline_options *options,
             struct pipeline_result *ret_result, const struct config **ret_failed, struct error *err) {
    struct lives lives = {0};
    struct pipeline_options told = *options;
    const bool is_told = config->http.listen != NULL || service_is_wanted();
    struct console *console = calloc(1, sizeof *console);
    *ret_failed = config;
    if (console == NULL)
        return error_no_memory(err);
    console->lock.fd = -1;
    bool done = !is_told || lives_init(&lives, config, err);
    told.live = lives.items;
    done = done && run_told(console, config, &told, &lives, ret_result, ret_failed, err);
    console_end(console);
    free(console);
    lives_release(&lives);
    return done;
}
