/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_control.c - the requests of the control socket, on the supervisor's thread.
 *
 *     ping                    ok
 *     reload                  ok, once each sink has read its plan of a copy again
 *     hold SINK               ok LSN, once the sink's runner holds between two transactions
 *     advance LSN SNAPSHOT    ok LSN UNSEEN UNKNOWN, once it holds where barrier.h says
 *     release                 ok LATE, once everything before the LSN of advance was applied
 *
 * An LSN in an answer is where the target is. The runner goes on when its client goes, and after
 * BARRIER_HELD_MAX_MS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/engine/attempt.h"

/* ---- a plan that is read again ---- */

static void begin_reload(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        runner_reload(&attempt->runners[i]);
    attempt->is_reloading = true;
}

static void end_reload(struct attempt *attempt) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (!runner_has_reloaded(&attempt->runners[i]))
            return;
    attempt->is_reloading = false;
    control_answer(&attempt->pipeline->control, "ok");
}

/* ---- a barrier ---- */

static void refuse(struct attempt *attempt, const char *reason) {
    attempt->is_asked = false;
    control_answer(&attempt->pipeline->control, "error %s", reason);
}

static void forget_barrier(struct attempt *attempt) {
    attempt->is_asked = false;
    if (attempt->barrier == NULL)
        return;
    barrier_end(&attempt->barrier->barrier);
    feed_want(&attempt->feed, 0);
    attempt->barrier = NULL;
}

static void begin_hold(struct attempt *attempt, const char *sink) {
    forget_barrier(attempt);
    for (size_t i = 0; i < attempt->runner_count; i++) {
        struct runner *runner = &attempt->runners[i];
        if (strcmp(runner->sink->config->name, sink) != 0)
            continue;
        attempt->barrier = runner;
        attempt->is_asked = true;
        runner_hold(runner);
        return;
    }
    refuse(attempt, "it has no sink of this name");
}

static void begin_advance(struct attempt *attempt, const char *arguments) {
    struct xid_snapshot snapshot = {0};
    char text[32];
    lsn_t lsn = 0;
    int length = 0;
    if (sscanf(arguments, "%31s %n", text, &length) != 1 || !lsn_parse(text, &lsn) ||
        !xid_snapshot_parse(arguments + length, &snapshot)) {
        refuse(attempt, "the request is malformed");
        return;
    }
    if (attempt->barrier != NULL && barrier_advance(&attempt->barrier->barrier, lsn, &snapshot)) {
        attempt->is_asked = true;
        feed_want(&attempt->feed, lsn);
    } else {
        refuse(attempt, "the sink does not hold any more");
    }
    xid_snapshot_release(&snapshot);
}

static void begin_release(struct attempt *attempt) {
    if (attempt->barrier != NULL && barrier_pass(&attempt->barrier->barrier))
        attempt->is_asked = true;
    else
        refuse(attempt, "the sink does not hold any more");
}

/* Answers once the runner has done what the client asked for last. */
static void answer_barrier(struct attempt *attempt) {
    struct control *control = &attempt->pipeline->control;
    const struct barrier_place place = barrier_look(&attempt->barrier->barrier);
    switch (place.phase) {
    case BARRIER_HELD:
        attempt->is_asked = false;
        control_answer(control, "ok %s", lsn_format(place.end_lsn).text);
        break;
    case BARRIER_REACHED:
        attempt->is_asked = false;
        control_answer(control, "ok %s %" PRIu64 " %" PRIu64, lsn_format(place.end_lsn).text, place.unseen,
                       place.unknown);
        break;
    case BARRIER_PASSED:
        forget_barrier(attempt);
        control_answer(control, "ok %" PRIu64, place.late);
        break;
    case BARRIER_NONE:
        refuse(attempt, "the sink does not hold any more");
        break;
    case BARRIER_HOLD:
    case BARRIER_ADVANCE:
    case BARRIER_PASS:
        break;
    }
}

/* ---- all requests ---- */

static const char *after(const char *request, const char *word) {
    const size_t length = strlen(word);
    return strncmp(request, word, length) == 0 ? request + length : NULL;
}

static void obey_request(struct attempt *attempt, const char *request) {
    const char *arguments = NULL;
    if (strcmp(request, "ping") == 0)
        control_answer(&attempt->pipeline->control, "ok");
    else if (strcmp(request, "reload") == 0)
        begin_reload(attempt);
    else if ((arguments = after(request, "hold ")) != NULL)
        begin_hold(attempt, arguments);
    else if ((arguments = after(request, "advance ")) != NULL)
        begin_advance(attempt, arguments);
    else if (strcmp(request, "release") == 0)
        begin_release(attempt);
    else
        control_answer(&attempt->pipeline->control, "error this engine does not know the request");
}

void attempt_serve(struct attempt *attempt) {
    bool is_gone = false;
    const char *request = control_next(&attempt->pipeline->control, &is_gone);
    if (is_gone) {
        attempt->is_reloading = false;
        forget_barrier(attempt);
    }
    if (request != NULL)
        obey_request(attempt, request);
    if (attempt->is_reloading)
        end_reload(attempt);
    if (attempt->is_asked)
        answer_barrier(attempt);
}

void attempt_stop_serving(struct attempt *attempt) {
    if (attempt->barrier != NULL)
        barrier_end(&attempt->barrier->barrier);
    if (attempt->is_asked || attempt->is_reloading)
        control_answer(&attempt->pipeline->control, "error it stops or retries");
    attempt->barrier = NULL;
    attempt->is_asked = attempt->is_reloading = false;
}
