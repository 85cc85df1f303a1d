/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_continuous.h - compares one range after the other for as long as the engine runs.
 *
 * A thread for each postgres sink, with sessions of its own, which asks the engine for barriers as any client
 * of the control socket does. So the engine waits for it in a barrier only, and for a limited time. What it
 * has proven is in NAME.SINK.verified (cdc/engine/verified.h), from which a restart goes on.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/config/config.h"
#include "cdc/engine/checkpoint.h"

/* One sink. */
struct verify_watcher {
    struct config *config;          /* of its own: the engine may read source.tables again at any time */
    const struct config_sink *sink; /* of it */
    uint64_t rate_bytes;            /* a second */
    const atomic_bool *stop;
    pthread_t thread;
    char said[ERROR_TEXT_MAX]; /* the last obstacle that was logged */
};

struct verify_continuous {
    atomic_bool stop;
    struct verify_watcher watchers[CHECKPOINT_SINKS_MAX];
    size_t count; /* 0: it is off */
};

/* Starts nothing when the configuration does not ask for it. After an error nothing runs. */
MUST_CHECK bool verify_continuous_start(struct verify_continuous *verifying, const struct config *config,
                                        struct error *err);

/* Ends the threads, which notice it in every wait. */
void verify_continuous_end(struct verify_continuous *verifying);
