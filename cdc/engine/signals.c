/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signals.c - pause is for the runner's own sink; all else is for the process, and is obeyed by the first
 * sink that gets there.
 */
#include "cdc/engine/signals.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/engine/request.h"

/* True: no sink of this process has come so far before. Messages come in the order of the commits. */
static bool is_first_there(struct pauses *pauses, const struct batch_signal *signal) {
    const lsn_t commit_lsn = signal->commit_lsn != 0 ? signal->commit_lsn : signal->lsn;
    pthread_mutex_lock(&pauses->lock);
    const bool is_first = commit_lsn > pauses->seen_commit_lsn ||
                          (commit_lsn == pauses->seen_commit_lsn && signal->lsn > pauses->seen_lsn);
    if (is_first) {
        pauses->seen_commit_lsn = commit_lsn;
        pauses->seen_lsn = signal->lsn;
    }
    pthread_mutex_unlock(&pauses->lock);
    return is_first;
}

static bool is_about(const struct pauses *pauses, const struct request *request, size_t sink) {
    return request->sink[0] == '\0' || strcmp(request->sink, pauses->config->sinks[sink].sink.name) == 0;
}

static bool is_known(const struct pauses *pauses, const struct request *request) {
    for (size_t i = 0; i < pauses->count; i++)
        if (is_about(pauses, request, i))
            return true;
    return false;
}

static bool pause_by_signal(struct pause *pause, const struct request *request,
                            const struct batch_signal *signal, struct error *err) {
    struct pauses *pauses = pause->all;
    struct pause_facts facts = {
        .since_us = clock_unix_us(), .after_lsn = signal->commit_lsn, .obeyed_lsn = signal->commit_lsn};
    if (!is_about(pauses, request, pause->index) || signal->commit_lsn <= atomic_load(&pause->obeyed_lsn))
        return true;
    if (pauses->has_end) {
        log_line(LOG_SIGNAL_IGNORED, "the message at %s asks for a pause, which a run with --until ignores",
                 lsn_format(signal->lsn).text);
        return true;
    }
    snprintf(facts.by, sizeof facts.by, "the message at %s", lsn_format(signal->lsn).text);
    return pauses_begin(pauses, pause->index, &facts, err);
}

static bool resume_by_signal(struct pauses *pauses, const struct request *request,
                             const struct batch_signal *signal, struct error *err) {
    for (size_t i = 0; i < pauses->count; i++)
        if (is_about(pauses, request, i) && !pauses_end(pauses, i, signal->commit_lsn, err))
            return false;
    return true;
}

static bool obey_signal(struct pause *pause, const struct request *request, const struct batch_signal *signal,
                        struct error *err) {
    struct pauses *pauses = pause->all;
    if (request->kind == REQUEST_PAUSE)
        return pause_by_signal(pause, request, signal, err);
    if (!is_first_there(pauses, signal))
        return true;
    log_line(LOG_SIGNAL, "the message at %s asks for: %s", lsn_format(signal->lsn).text,
             request_name(request->kind));
    if (request->kind == REQUEST_RESUME)
        return resume_by_signal(pauses, request, signal, err);
    if (request->kind == REQUEST_LOG_LEVEL)
        log_set_level(request->level);
    if (request->kind == REQUEST_RELOAD)
        atomic_store(&pauses->wants_reload, true);
    return true;
}

static bool read_signal(const struct pauses *pauses, const struct batch_signal *signal,
                        struct request *ret_request, struct error *err) {
    if (signal->commit_lsn == 0)
        return error_set(err, ERROR_PROTOCOL, "it is not transactional: pg_logical_emit_message(true, …)");
    return request_parse(signal->text, ret_request, err) &&
           (is_known(pauses, ret_request) ||
            error_set(err, ERROR_PROTOCOL, "the pipeline has no sink of the name that it asks for"));
}

bool signals_obey(struct pause *pause, const struct batch_signal *signal, struct error *err) {
    struct request request;
    struct error wrong = {0};
    if (!read_signal(pause->all, signal, &request, &wrong)) {
        if (is_first_there(pause->all, signal))
            log_line(LOG_SIGNAL_IGNORED, "the message at %s with prefix pgcdc is ignored: %s",
                     lsn_format(signal->lsn).text, wrong.text);
        return true;
    }
    if (obey_signal(pause, &request, signal, err))
        return true;
    err->kind = ERROR_RETRY;
    return false;
}
