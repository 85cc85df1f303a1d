/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run.h - a pipeline, and the threads that work beside it: continuous verification and the sequences.
 */
#pragma once

#include "cdc/engine/pipeline.h"

/*
 * As pipeline_run, also with a buffer between the slot and the sinks. ret_failed: the configuration of the
 * part whose error *err is.
 */
MUST_CHECK bool run_all(const struct config *config, const struct pipeline_options *options,
                        struct pipeline_result *ret_result, const struct config **ret_failed,
                        struct error *err);
