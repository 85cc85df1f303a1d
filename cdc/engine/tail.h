/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tail.h - the changes of the pipeline's publication from now on, as lines of JSON.
 *
 * Reads through a temporary slot of its own, which the server forgets with the session: nothing of the
 * pipeline is touched, and nothing stays behind. What happens while nobody tails is not seen.
 */
#pragma once

#include <stdatomic.h>

#include "cdc/base/error.h"
#include "cdc/config/config.h"

/*
 * Writes to output_fd until *stop becomes true or nobody reads any more, which both are success. A reader may
 * pause for as long as it likes: the server is kept content, and memory does not grow.
 */
MUST_CHECK bool tail_run(const struct config *config, int output_fd, const atomic_bool *stop,
                         struct error *err);
