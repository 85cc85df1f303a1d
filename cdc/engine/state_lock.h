/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_lock.h - one engine per pipeline and state directory: NAME.lock, held by flock, contains the holder's
 * pid.
 *
 * The kernel releases the lock when the process ends, also after kill -9.
 */
#pragma once

#include <sys/types.h>

#include "cdc/base/error.h"

struct state_lock {
    int fd; /* -1: not held */
};

/* Creates the directory when it is missing. ERROR_RUNNING names the pid of the holder. */
MUST_CHECK bool state_lock_take(struct state_lock *lock, const char *directory, const char *pipeline,
                                struct error *err);
void state_lock_release(struct state_lock *lock);

/* The pid of the engine that holds the lock now, or 0. */
pid_t state_lock_holder(const char *directory, const char *pipeline);
