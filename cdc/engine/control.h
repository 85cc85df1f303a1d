/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - NAME.control in the state directory: the socket on which a running engine takes requests.
 *
 * Mode 0600, so only the engine's user and root can ask. A request is one line, the answer another: "ok …" or
 * "error …". One client at a time; others wait. A request is never the only place of a decision: what must
 * survive a kill is stored in a sink before the engine is asked to look.
 */
#pragma once

#include <poll.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/error.h"

/* The text of a snapshot has the xid of every open transaction. */
#define CONTROL_LINE_MAX 32768

struct control {
    int listener; /* -1: closed */
    int client;   /* -1: none */
    char line[CONTROL_LINE_MAX];
    size_t size;
    bool is_asking; /* the client waits for an answer */
};

/* Removes a socket that a killed engine left: the caller holds the state directory's lock. */
MUST_CHECK bool control_open(struct control *control, const char *directory, const char *pipeline,
                             struct error *err);

/* Removes the socket. Accepts a closed one. */
void control_close(struct control *control, const char *directory, const char *pipeline);

/* What to wait for; returns the number of entries, at most 2. */
nfds_t control_wants(const struct control *control, struct pollfd *ret_fds);

/*
 * The next request, without its newline, or NULL. Never blocks. *ret_gone: the client has gone since the last
 * call, so what it began ends.
 */
const char *control_next(struct control *control, bool *ret_gone);

/* The answer to the last request. Never blocks. */
void control_answer(struct control *control, const char *format, ...) PRINTF_LIKE(2, 3);

/* ---- the other side ---- */

/* Connects. *ret_client is -1 when no engine runs. */
MUST_CHECK bool control_connect(const char *directory, const char *pipeline, int *ret_client,
                                struct error *err);

/*
 * Sends a request and waits for its answer, whose text after "ok" is in answer. ERROR_REFUSE: the engine's
 * "error …"; ERROR_RETRY: no answer within timeout_ms, or the engine has ended.
 */
MUST_CHECK bool control_ask(int client, const char *request, int timeout_ms, const atomic_bool *stop,
                            char answer[CONTROL_LINE_MAX], struct error *err);
