/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.c - what works beside the pipeline ends with it.
 */
#include "cdc/run/run.h"

#include "cdc/engine/buffered.h"
#include "cdc/sequences/sequences_follower.h"
#include "cdc/verify/verify_continuous.h"

static bool run_pipeline(const struct config *config, const struct pipeline_options *options,
                         struct pipeline_result *ret_result, const struct config **ret_failed,
                         struct error *err) {
    return config->part_count > 0 ? buffered_run(config, options, ret_result, ret_failed, err)
                                  : pipeline_run(config, options, ret_result, err);
}

bool run_all(const struct config *config, const struct pipeline_options *options,
             struct pipeline_result *ret_result, const struct config **ret_failed, struct error *err) {
    struct verify_continuous verifying;
    struct sequences_follower sequences;
    *ret_failed = config;
    if (!verify_continuous_start(&verifying, config, err))
        return false;
    const bool done = sequences_follower_start(&sequences, config, err) &&
                      run_pipeline(config, options, ret_result, ret_failed, err);
    sequences_follower_end(&sequences);
    verify_continuous_end(&verifying);
    return done;
}
