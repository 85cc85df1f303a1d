/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sequences_follower.h - keeps the sequences of each sink that is a database ahead, beside a running
 * pipeline.
 *
 * A thread with sessions of its own, for a moment each minute, and first a minute after the start: what a
 * short run would set is soon behind again. It never stops the pipeline: what it cannot do it logs, once, and
 * tries again.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/config/config.h"

enum { SEQUENCES_SINKS_MAX = 64, SEQUENCES_SAID_MAX = 1024 };

struct sequences_follower {
    const struct config *config;
    /* what was logged last about a sink: an obstacle lasts, and is logged when it is another one */
    char said[SEQUENCES_SINKS_MAX][SEQUENCES_SAID_MAX];
    pthread_mutex_t lock;
    pthread_cond_t ends; /* stop became true */
    atomic_bool stop;
    pthread_t thread;
    bool runs;
};

/* Starts nothing when the configuration does not ask for it, or no sink is a database. */
MUST_CHECK bool sequences_follower_start(struct sequences_follower *follower, const struct config *config,
                                         struct error *err);

/* Ends the thread, which notices it in every wait. Accepts a zeroed follower. */
void sequences_follower_end(struct sequences_follower *follower);
