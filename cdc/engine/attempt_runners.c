/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_runners.c - how the supervisor waits for its runners.
 */
#include <poll.h>
#include <string.h>
#include <sys/eventfd.h>

#include "cdc/engine/attempt.h"

enum { POLL_MS = 100 }; /* how soon the stop flag is noticed, which wakes no thread */

void attempt_wait_event(struct attempt *attempt) {
    struct pollfd fds[3] = {{.fd = attempt->event_fd, .events = POLLIN}};
    eventfd_t count;
    /* The control socket only wakes us up; while its client waits for an answer, its silence is no event. */
    if (poll(fds, 1 + control_wants(&attempt->pipeline->control, fds + 1), POLL_MS) > 0 &&
        fds[0].revents != 0)
        eventfd_read(attempt->event_fd, &count);
}

bool attempt_runner_failed(struct attempt *attempt, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner *runner = &attempt->runners[i];
        if (runner_state(runner) == RUNNER_FAILED) {
            *err = runner->error;
            /*
             * The copy reads the source too: a right that is missing at the source is not the sink's error.
             */
            if (strcmp(err->sqlstate, "42501") != 0 || strncmp(err->text, "source: ", 8) != 0)
                error_wrap(err, "sink %s", runner->sink->config->name);
            return true;
        }
    }
    return false;
}

bool attempt_is_copying(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (atomic_load(&attempt->runners[i].is_copying))
            return true;
    return false;
}

bool attempt_has_copy(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (!runner_has_reloaded(
                &attempt->runners[i])) /* first: then is_copying is of the plan that it read */
            return true;
    return attempt_is_copying(attempt);
}

static bool runners_are(struct attempt *attempt, enum runner_state state) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (runner_state(&attempt->runners[i]) != state)
            return false;
    return true;
}

bool attempt_wait_runners(struct attempt *attempt, enum runner_state state,
                          void (*meanwhile)(struct attempt *attempt), struct error *err) {
    for (;;) {
        if (attempt_runner_failed(attempt, err))
            return false;
        if (attempt_is_stopped(attempt))
            return error_set(err, ERROR_STOPPED, "stopped");
        /* An order that the runner has not started yet leaves the state unchanged. */
        bool obeyed = true;
        for (size_t i = 0; i < attempt->runner_count; i++)
            obeyed = obeyed && !runner_has_order(&attempt->runners[i]);
        if (obeyed && runners_are(attempt, state))
            return true;
        if (meanwhile != NULL)
            meanwhile(attempt);
        attempt_wait_event(attempt);
    }
}

bool attempt_runners_ended(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++) {
        enum runner_state state = runner_state(&attempt->runners[i]);
        if (state != RUNNER_STOPPED && state != RUNNER_FAILED)
            return false;
    }
    return true;
}
