/* SPDX-License-Identifier: Apache-2.0 */
/*
 * buffered.h - a pipeline with a buffer: an archive between the slot and the sinks.
 *
 *     slot -> archive                     the first part
 *             archive -> sink             one more part for each sink
 *
 * Each part is a pipeline of its own, with its threads, its state directory and its recovery. So the slot
 * goes on while a sink is slow, stopped or failed, and no sink waits for another one. A part that has failed
 * is started again after a minute, while others run.
 *
 * Before there is a buffer, the sinks get their first positions from the slot itself, as without one.
 */
#pragma once

#include "cdc/engine/pipeline.h"

/* *ret_has_begun: there is a buffer, and the parts work on it; otherwise the pipeline has none yet. */
MUST_CHECK bool buffered_has_begun(const struct config *config, bool *ret_has_begun, struct error *err);

/*
 * As pipeline_run, for a configuration with parts. ret_failed: the configuration of the part whose error *err
 * is; or the whole one.
 */
MUST_CHECK bool buffered_run(const struct config *config, const struct pipeline_options *options,
                             struct pipeline_result *ret_result, const struct config **ret_failed,
                             struct error *err);
