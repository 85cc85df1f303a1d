/* SPDX-License-Identifier: Apache-2.0 */
/*
 * aside.h - runs a library call that blocks and cannot be interrupted in a thread of its own, so that the
 * caller can stop waiting for it.
 *
 * libpq resolves names and cancels requests with such calls. A call that never returns keeps its thread and
 * its context until the program ends.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdc/base/attributes.h"

struct aside_call {
    void (*run)(void *context);
    void (*release)(void *context); /* frees the context when the caller has stopped waiting */
    void *context;                  /* on the heap; contains everything that run needs */
};

enum aside_end {
    ASIDE_DONE,      /* run has returned: the context is the caller's again */
    ASIDE_TIMED_OUT, /* the wait ended first: the context is no longer the caller's */
    ASIDE_STOPPED,   /* the same; *stop became true */
    ASIDE_FAILED,    /* no thread or no memory: run was never called, and the context is the caller's */
};

/* stop may be NULL. timeout_ms < 0: no limit. */
MUST_CHECK enum aside_end aside_run(const struct aside_call *call, const atomic_bool *stop,
                                    int64_t timeout_ms);
