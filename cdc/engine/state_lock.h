/* SPDX-License-Identifier: Apache-2.0 */
/*
 * state_lock.h - one engine a pipeline and state directory: NAME.lock, held by flock, naming the holder's
 * pid.
 *
 * The kernel gives the lock up with the process, so a kill -9 leaves none behind.
 */
#pragma once

#include <sys/types.h>

#include "cdc/base/error.h"

struct state_lock {
    int fd; /* -1: not held */
};

/* Creates the directory when missing. ERROR_RUNNING names the pid that holds it. */
MUST_CHECK bool state_lock_take(struct state_lock *lock, const char *directory, const char *pipeline,
                                struct error *err);
void state_lock_release(struct state_lock *lock);

/* The pid of the engine that holds the lock now, or 0 when none does. */
pid_t state_lock_holder(const char *directory, const char *pipeline);
