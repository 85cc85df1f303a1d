/* SPDX-License-Identifier: Apache-2.0 */
/*
 * silence.c - asks the kernel about the peer, and another session about the server's side of this one.
 */
#include "cdc/pq/silence.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include "cdc/base/log.h"
#include "cdc/pq/lock_wait.h"

enum {
    EXPLAIN_ON_MS = 60000,   /* explained once after this time, then at intervals */
    ANSWERED_MAX_MS = 20000, /* an answer that the server has given is overdue after this time */
    GONE_MS = 30000,
    OBSERVER_MAX_MS = 10000, /* no other session examines this one */
};

bool silence_is_of_the_dead(const struct tcp_info *info) {
    const bool is_owed = info->tcpi_retransmits > 0 || info->tcpi_probes > 1;
    return is_owed && info->tcpi_last_ack_recv >= GONE_MS;
}

/* A socket that is not TCP has its peer on this machine. */
static bool is_peer_gone(const struct session *session) {
    struct tcp_info info = {0};
    socklen_t size = sizeof info;
    return getsockopt(PQsocket(session->conn), IPPROTO_TCP, TCP_INFO, &info, &size) == 0 &&
           silence_is_of_the_dead(&info);
}

/* The server may be idle because it has not received our query. */
static bool is_all_sent(const struct session *session) {
    int unsent = 0;
    return ioctl(PQsocket(session->conn), SIOCOUTQ, &unsent) != 0 || unsent == 0;
}

static bool is_due(const struct silence *silence) {
    return silence->explained_ms == 0 || silence->idle_since[0] != '\0' ||
           silence->waited_ms - silence->explained_ms >= EXPLAIN_ON_MS;
}

bool silence_bear(struct silence *silence, const struct session *session, struct error *err) {
    char idle_since[sizeof silence->idle_since] = "";
    silence->waited_ms += SILENCE_STEP_MS;
    if (is_peer_gone(session))
        return error_set(err, ERROR_RETRY, "%s: its machine has acknowledged nothing for %d s", session->peer,
                         GONE_MS / 1000);
    if (session->is_observer && silence->waited_ms >= OBSERVER_MAX_MS)
        return error_set(err, ERROR_RETRY, "%s: no answer for %d s", session->peer, OBSERVER_MAX_MS / 1000);
    if (session->is_observer || !is_due(silence))
        return true;
    silence->explained_ms = silence->waited_ms;
    lock_wait_report(session, silence->waited_ms, idle_since, sizeof idle_since);
    if (!is_all_sent(session))
        idle_since[0] = '\0';
    const bool is_answered = idle_since[0] != '\0' && strcmp(idle_since, silence->idle_since) == 0;
    if (is_answered && silence->waited_ms >= ANSWERED_MAX_MS)
        return error_set(err, ERROR_RETRY,
                         "%s: the server has answered, but the answer has been incomplete "
                         "for %lld s: it may be damaged in transit",
                         session->peer, (long long) silence->waited_ms / 1000);
    memcpy(silence->idle_since, idle_since, sizeof idle_since);
    return true;
}
