/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pipeline.h - one source, one slot, one or more sinks, from start to stop.
 *
 * There is one recovery path: whatever went wrong, everything is stopped and closed, and after a pause started again from
 * the positions that the sinks hold.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/config.h"

struct pipeline_options {
    bool until_caught_up;    /* end when every sink has what the source had on disk at the start */
    lsn_t until_lsn;         /* or this; 0: run for ever */
    const atomic_bool *stop; /* becomes true: stop reading, flush, confirm, end */
};

/* Runs until stopped, the end is reached, or an error that waiting cannot cure. Logs what it does. */
MUST_CHECK bool pipeline_run(const struct config *config, const struct pipeline_options *options,
                             struct error *err);
