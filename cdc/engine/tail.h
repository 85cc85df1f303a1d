/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.h - the changes of the pipeline's publication from now on, as lines of JSON.
 *
 * Reads through a temporary slot of its own, which the server drops with the session: the pipeline is not
 * touched, and nothing remains. Changes made while no tail runs are not seen.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/config/config.h"

/*
 * Writes to output_fd until *stop becomes true or the output is closed; both are success. The reader of the
 * output may pause for any time: the server still gets its answers, and memory does not grow.
 */
MUST_CHECK bool tail_run(const struct config *config, int output_fd, const atomic_bool *stop,
                         struct error *err);
