/* SPDX-License-Identifier: Apache-2.0 */
/*
 * console.h - what an operator can do with a pipeline that runs: pause, resume, reload, the log's level.
 *
 * A thread of its own takes requests from NAME.sock in the state directory, and from SIGHUP. It works also
 * while the pipeline retries, and with a buffer it is one for all parts. No thread that carries changes waits
 * for it.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/config/config.h"
#include "cdc/engine/pause.h"
#include "cdc/engine/pipeline.h"
#include "cdc/engine/state_lock.h"

struct clients;

struct console {
    const struct config *config; /* of the start */
    struct config *newest;       /* the last one that a reload accepted, with those before it; or NULL */
    struct state_lock lock;      /* NAME.sock.lock: of the socket and of NAME.pause */
    struct pauses pauses;
    struct renewal *renewals; /* one for each part, or one */
    atomic_llong stalled_ms;  /* http.stalled_after */
    bool has_end;             /* the run ends by itself, so it cannot be paused */
    atomic_bool *hangup;      /* SIGHUP has come; or NULL */
    atomic_bool stop;
    struct clients *clients; /* NULL: no socket */
    pthread_t thread;
    bool is_started;
};

/*
 * Takes the lock and reads the pauses. ERROR_RUNNING: an engine runs this pipeline. ERROR_CONFIG: the run has
 * an end, and a sink is paused. Then console_end, also after an error.
 */
MUST_CHECK bool console_open(struct console *console, const struct config *config,
                             const struct pipeline_options *options, struct error *err);

/* Fills in what the pipeline reads of it, and takes requests from here on. */
MUST_CHECK bool console_start(struct console *console, struct pipeline_options *options, struct error *err);

/* After the pipeline has ended. */
void console_end(struct console *console);

/* For a command while no engine runs: the same lock, for a change of NAME.pause. */
MUST_CHECK bool console_lock(const struct config *config, struct state_lock *lock, struct error *err);
