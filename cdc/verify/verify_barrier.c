/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_barrier.c - hold, the source's snapshot, advance, the target's snapshot, release.
 */
#include "cdc/verify/verify_barrier.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"

enum {
    ANSWER_MS = 60000, /* the runner may be in a large transaction */
    TRY_MS = 10000,
    PAUSE_MIN_MS = 2,
    PAUSE_MAX_MS = 200,
};

static bool ask_engine(struct verify_barrier *barrier, const struct verify_sides *sides, const char *request,
                       char *answer, struct error *err) {
    return control_ask(barrier->client, request, ANSWER_MS, sides->stop, answer, err);
}

bool verify_barrier_open(struct verify_barrier *barrier, struct verify_sides *sides, bool *ret_usable,
                         struct error *err) {
    *barrier = (struct verify_barrier){.client = -1};
    *ret_usable = false;
    if (!sides->is_fed || sides->is_standby)
        return true;
    if (!control_connect(sides->config->state, sides->config->name, &barrier->client, err))
        return false;
    *ret_usable = barrier->client >= 0;
    verify_barrier_close(barrier);
    return true;
}

void verify_barrier_close(struct verify_barrier *barrier) {
    if (barrier->client >= 0)
        close(barrier->client);
    barrier->client = -1;
}

static bool connect_again(struct verify_barrier *barrier, const struct verify_sides *sides,
                          struct error *err) {
    if (barrier->client >= 0)
        return true;
    if (!control_connect(sides->config->state, sides->config->name, &barrier->client, err))
        return false;
    return barrier->client >= 0 || error_set(err, ERROR_RETRY, "no engine runs");
}

static bool ask_advance(struct verify_barrier *barrier, struct verify_sides *sides, struct error *err) {
    char answer[CONTROL_LINE_MAX], lsn[32];
    uint64_t unseen = 0, unknown = 0;
    struct buffer request AUTO(buffer_release) = {.bytes_max = CONTROL_LINE_MAX};
    buffer_printf(&request, "advance %s %s", lsn_format(sides->source_lsn).text, sides->snapshot);
    if (buffer_text(&request) == NULL)
        return error_set(err, ERROR_REFUSE, "too many transactions are open at the source");
    if (!ask_engine(barrier, sides, request.data, answer, err))
        return false;
    if (sscanf(answer, "%31s %" SCNu64 " %" SCNu64, lsn, &unseen, &unknown) != 3)
        return error_set(err, ERROR_PROTOCOL, "the running engine: unexpected answer \"%s\"", answer);
    barrier->obstacle = unseen > 0 ? OBSTACLE_UNSEEN : unknown > 0 ? OBSTACLE_UNKNOWN : OBSTACLE_NONE;
    return true;
}

static bool ask_release(struct verify_barrier *barrier, const struct verify_sides *sides, struct error *err) {
    char answer[CONTROL_LINE_MAX];
    if (!ask_engine(barrier, sides, "release", answer, err))
        return false;
    if (barrier->obstacle == OBSTACLE_NONE && strcmp(answer, "0") != 0)
        barrier->obstacle = OBSTACLE_UNSEEN;
    return true;
}

/* A failure of the engine's part is an obstacle; *ret_asked is then false. */
static bool take_refusal(struct verify_barrier *barrier, bool asked, bool *ret_asked, struct error *err) {
    *ret_asked = asked;
    if (asked)
        return true;
    if (err->kind != ERROR_REFUSE && err->kind != ERROR_RETRY)
        return false;
    barrier->obstacle = OBSTACLE_ENGINE;
    snprintf(barrier->refusal, sizeof barrier->refusal, "%.250s", err->text);
    if (err->kind == ERROR_RETRY)
        verify_barrier_close(barrier);
    *err = (struct error){0};
    return true;
}

static bool try_pin(struct verify_barrier *barrier, struct verify_sides *sides, struct error *err) {
    char request[256], answer[CONTROL_LINE_MAX];
    bool asked = false;
    barrier->obstacle = OBSTACLE_NONE;
    snprintf(request, sizeof request, "hold %s", sides->sink->name);
    if (!take_refusal(barrier,
                      connect_again(barrier, sides, err) && ask_engine(barrier, sides, request, answer, err),
                      &asked, err))
        return false;
    if (!asked)
        return true;
    if (!verify_sides_pin_source(sides, err) ||
        !take_refusal(barrier, ask_advance(barrier, sides, err), &asked, err))
        return false;
    if (!asked)
        return true;
    return verify_sides_pin_target(sides, err) &&
           take_refusal(barrier, ask_release(barrier, sides, err), &asked, err);
}

static bool abandon(struct verify_sides *sides, int64_t pause_ms, struct error *err) {
    bool ready = false;
    return verify_sides_unpin(sides, err) && session_wait(&sides->source, false, (int) pause_ms, &ready, err);
}

bool verify_barrier_pin(struct verify_barrier *barrier, struct verify_sides *sides, bool *ret_exact,
                        struct error *err) {
    const int64_t until_ms = clock_now_ms() + TRY_MS;
    int64_t pause_ms = PAUSE_MIN_MS;
    *ret_exact = false;
    do {
        if (!try_pin(barrier, sides, err))
            return false;
        if (barrier->obstacle == OBSTACLE_NONE) {
            verify_barrier_close(barrier); /* the engine serves one client at a time */
            barrier->count++;
            *ret_exact = true;
            return true;
        }
        verify_barrier_close(barrier);
        if (!abandon(sides, pause_ms, err))
            return false;
        pause_ms = pause_ms * 2 < PAUSE_MAX_MS ? pause_ms * 2 : PAUSE_MAX_MS;
    } while (clock_now_ms() < until_ms);
    return true;
}
