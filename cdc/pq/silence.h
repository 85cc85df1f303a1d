/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.h - an answer does not arrive: is the peer gone, does it wait for a lock, or has it answered
 * already?
 *
 * A peer that waits for a lock does not read, so our data stays unsent for as long. TCP_USER_TIMEOUT would
 * take that for the peer's death and end a session that is right to wait, so it is set only for sessions that
 * never wait for locks. Here a peer is gone when it does not even acknowledge.
 */
#pragma once

#include <netinet/tcp.h>

#include "cdc/pq/session.h"

enum { SILENCE_STEP_MS = 5000 }; /* how often a silence is examined */

/* One wait for one answer; zeroed when it begins. */
struct silence {
    int64_t waited_ms;
    int64_t explained_ms; /* duration of the wait when it was last explained; 0: not yet */
    char idle_since[40];  /* the server's clock when the session was seen idle, or "" */
};

/*
 * Call it after each step without a byte. ERROR_RETRY when the peer is gone, or when the server reports that
 * it has nothing more to answer; an observer session gives up soon. Otherwise true, and from time to time the
 * log explains the wait.
 */
MUST_CHECK bool silence_bear(struct silence *silence, const struct session *session, struct error *err);

/*
 * For tests: does the peer acknowledge neither what was sent nor the question whether there is room for more?
 */
bool silence_is_of_the_dead(const struct tcp_info *info);
