/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_control.c - the requests of the control socket, on the supervisor's thread.
 *
 *     ping                    ok
 *     reload                  ok, once each sink has read its plan of a copy again
 *     edit SINK               ok: what follows changes the plan of a sink with one writer
 *     chunk JSON              ok: adds a chunk (sinks/plan_record.h)
 *     remove OID              ok: removes the chunks of a table
 *     store                   ok, once that is durable in the sink; the copy goes on by the new plan
 *     hold SINK               ok LSN, once the sink's runner holds between two transactions
 *     advance LSN SNAPSHOT    ok LSN UNSEEN UNKNOWN, once it holds where barrier.h says
 *     release                 ok LATE, once everything before the LSN of advance was applied
 *
 * An LSN in an answer is where the target is. The runner goes on when its client goes, and after
 * BARRIER_HELD_MAX_MS.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/engine/attempt.h"
#include "sinks/plan_record.h"

static void refuse_request(struct attempt *attempt, const char *reason) {
    control_answer(&attempt->pipeline->control, "error %s", reason);
}

static struct runner *find_runner(struct attempt *attempt, const char *sink) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (strcmp(attempt->runners[i].sink->config->name, sink) == 0)
            return &attempt->runners[i];
    return NULL;
}

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

/* ---- an edit of a plan ---- */

static void forget_edit(struct attempt *attempt) {
    chunk_edit_free(attempt->edit);
    attempt->edit = NULL;
}

static void begin_edit(struct attempt *attempt, const char *sink) {
    forget_edit(attempt);
    attempt->edited = find_runner(attempt, sink);
    if (attempt->edited == NULL || attempt->edited->sink->ops->chunk == NULL ||
        attempt->edited->sink->ops->chunk->extend == NULL) {
        refuse_request(attempt, "it has no sink of this name with a plan to edit");
        return;
    }
    attempt->edit = chunk_edit_new();
    if (attempt->edit == NULL)
        refuse_request(attempt, "out of memory");
    else
        control_answer(&attempt->pipeline->control, "ok");
}

static bool add_chunk(struct chunk_edit *edit, const char *json, struct error *err) {
    struct chunk chunk;
    return chunk_record_parse(slice_of(json), &edit->arena, &chunk, err) && chunk_edit_add(edit, &chunk, err);
}

static bool remove_table(struct chunk_edit *edit, const char *text, struct error *err) {
    const oid_t oid = (oid_t) strtoul(text, NULL, 10);
    return oid != 0 ? chunk_edit_remove(edit, oid, err) : error_set(err, ERROR_PROTOCOL, "it is not an OID");
}

static void continue_edit(struct attempt *attempt, const char *arguments,
                          bool (*take)(struct chunk_edit *edit, const char *arguments, struct error *err)) {
    struct error err = {0};
    if (attempt->edit == NULL)
        refuse_request(attempt, "it has begun no edit: it stopped or retried since");
    else if (take(attempt->edit, arguments, &err))
        control_answer(&attempt->pipeline->control, "ok");
    else
        refuse_request(attempt, err.text);
}

static void store_edit(struct attempt *attempt) {
    if (attempt->edit == NULL) {
        refuse_request(attempt, "it has begun no edit: it stopped or retried since");
        return;
    }
    runner_edit(attempt->edited, attempt->edit);
    attempt->edit = NULL;
    attempt->is_reloading = true;
}

/* ---- a barrier ---- */

static void refuse(struct attempt *attempt, const char *reason) {
    attempt->is_asked = false;
    refuse_request(attempt, reason);
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
    attempt->barrier = find_runner(attempt, sink);
    if (attempt->barrier == NULL) {
        refuse(attempt, "it has no sink of this name");
        return;
    }
    if (pause_is_wanted(attempt->barrier->pause)) {
        attempt->barrier = NULL;
        refuse(attempt, "the sink is paused; `pgcdc resume` ends that");
        return;
    }
    attempt->is_asked = true;
    runner_hold(attempt->barrier);
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
        attempt_want(attempt, lsn);
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
    else if ((arguments = after(request, "edit ")) != NULL)
        begin_edit(attempt, arguments);
    else if ((arguments = after(request, "chunk ")) != NULL)
        continue_edit(attempt, arguments, add_chunk);
    else if ((arguments = after(request, "remove ")) != NULL)
        continue_edit(attempt, arguments, remove_table);
    else if (strcmp(request, "store") == 0)
        store_edit(attempt);
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
        forget_edit(attempt);
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
    forget_edit(attempt);
    attempt->barrier = NULL;
    attempt->is_asked = attempt->is_reloading = false;
}
