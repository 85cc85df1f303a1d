/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_engine.h - the engine of the stream: one that runs already, or one in a thread of this process.
 *
 * Either is asked through its control socket. The one of this process is begun once, and ends with the
 * cutover.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/engine/pipeline.h"
#include "cdc/pq/session.h"

struct cutover_engine {
    const struct config *config;
    pthread_t thread;
    bool is_own;
    atomic_bool stop;
    atomic_bool has_ended; /* the own one; then error and has_failed are set */
    bool has_failed;
    struct error error;
};

/* Returns when an engine answers. ERROR_RUNNING when one reads the slot that this machine does not have. */
MUST_CHECK bool cutover_engine_begin(struct cutover_engine *engine, const struct config *config,
                                     struct session *source, const atomic_bool *stop, struct error *err);

/* Connects to it. ERROR_RETRY when it does not answer; the error of the own one when that has failed. */
MUST_CHECK bool cutover_engine_connect(struct cutover_engine *engine, int *ret_client, struct error *err);

/* Ends any engine of the stream on this machine, and waits for it. */
MUST_CHECK bool cutover_engine_end(struct cutover_engine *engine, const struct config *config,
                                   struct error *err);

/* Ends the own one. Accepts a zeroed engine. */
void cutover_engine_release(struct cutover_engine *engine);
