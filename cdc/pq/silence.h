/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.h - an answer that does not come: is the peer gone, does it wait for somebody, or has it answered
 * already?
 *
 * A peer that waits for a lock does not read, so what we have for it stays unsent for as long.
 * TCP_USER_TIMEOUT takes that for the peer's death and ends a session that is right to wait, so it is only
 * set where nobody waits for locks. Here a peer is gone when it does not even acknowledge.
 */
#pragma once

#include <netinet/tcp.h>

#include "cdc/pq/session.h"

enum { SILENCE_STEP_MS = 5000 }; /* how often a silence is looked at */

/* One wait for one answer; zeroed at its begin. */
struct silence {
    int64_t waited_ms;
    int64_t explained_ms; /* the wait when it was last explained; 0: not yet */
    char idle_since[40];  /* the server's clock when it was seen idle, or "" */
};

/*
 * After one more step without a byte. ERROR_RETRY when the peer is gone, when the server says that it has
 * nothing to answer any more, or soon when the session is an observer itself; else true, and now and then a
 * line in the log says what is waited for.
 */
MUST_CHECK bool silence_bear(struct silence *silence, const struct session *session, struct error *err);

/* For tests: does nobody acknowledge what was sent, or the question whether there is room for more? */
bool silence_is_of_the_dead(const struct tcp_info *info);
