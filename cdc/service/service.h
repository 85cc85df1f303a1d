/* SPDX-License-Identifier: Apache-2.0 */
/*
 * service.h - a pipeline as a service of systemd: says when it is ready, what it does, that its threads turn.
 *
 * Without NOTIFY_SOCKET in the environment all of it is nothing. A thread of its own speaks, so a thread that
 * carries changes never waits for systemd.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>

#include "cdc/config/config.h"
#include "cdc/engine/live.h"
#include "cdc/service/notify.h"

struct service {
    struct notify notify; /* closed: no service manager is to be told */
    const struct lives *lives;
    struct live_facts *parts; /* of the thread: a copy of lives */
    const atomic_bool *stop;  /* the pipeline's */
    atomic_bool ends;
    int64_t feed_ms; /* between two signs of life; 0: no watchdog */
    int64_t fed_ms, told_ms;
    bool is_ready, is_stopping, has_failed;
    char told[512];
    pthread_t thread;
    bool has_thread;
};

/* Is there a service manager to tell? */
bool service_is_wanted(void);

/* lives and stop outlive it. A socket that cannot be used is logged, and nothing is told. */
MUST_CHECK bool service_start(struct service *service, const struct lives *lives, const atomic_bool *stop,
                              struct error *err);

/* Says that it is stopping, if it has not. Accepts one that was not started. */
void service_end(struct service *service);
