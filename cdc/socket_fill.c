/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_fill.c - see socket_fill.h.
 *
 * Measured on a backlog of 200,000 one-row transactions and of 300,000 wide rows, two cores: with the bursts walsender spends
 * 2.3 and 2.3 s of processor time instead of 3.7 and 3.3. Half the rest or half the buffer does nearly as well; a rest of 5 ms
 * gives most of it back.
 */
#include "cdc/socket_fill.h"

#include <netinet/in.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FILL_BYTES = 64 * 1024,
    FILLS_FROM_BYTES = FILL_BYTES / 4, /* a read that brought so much begins it */
    FILLS_ON_BYTES = 4096,             /* ... so much keeps it going */
    FILL_WAIT_MS = 1,
    FILL_WAIT_BEHIND_MS = 4,
    BURST_BUFFER_BYTES = 128 * 1024,
    BURST_REST_MS = 10,
};

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
    struct sockaddr_storage storage;
};

static bool same_host(const union address *here, const union address *there) {
    if (here->any.sa_family != there->any.sa_family)
        return false;
    if (here->any.sa_family == AF_INET)
        return here->v4.sin_addr.s_addr == there->v4.sin_addr.s_addr;
    return here->any.sa_family == AF_INET6 &&
           memcmp(&here->v6.sin6_addr, &there->v6.sin6_addr, sizeof here->v6.sin6_addr) == 0;
}

/* A Unix socket is not: what it holds is bounded by the sender's buffer, so that resting would only stop the sender. */
static bool is_local_tcp(int fd) {
    union address here = {0}, there = {0};
    socklen_t here_size = sizeof here, there_size = sizeof there;
    return getsockname(fd, &here.any, &here_size) == 0 && getpeername(fd, &there.any, &there_size) == 0 &&
           same_host(&here, &there);
}

/* Failures of setsockopt cost speed and nothing else. Unix sockets ignore it. */
static void wake_at(const struct socket_fill *fill, int bytes) {
    setsockopt(fill->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

void socket_fill_init(struct socket_fill *fill, int fd) {
    const int buffer_bytes = BURST_BUFFER_BYTES;
    *fill = (struct socket_fill){.fd = fd, .is_local = is_local_tcp(fd)};
    if (fill->is_local)
        setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &buffer_bytes, sizeof buffer_bytes);
}

static void set_fills(struct socket_fill *fill, bool fills) {
    if (fill->fills == fills)
        return;
    wake_at(fill, fills ? FILL_BYTES : 1);
    fill->fills = fills;
}

void socket_fill_note(struct socket_fill *fill, size_t bytes, bool blocked, bool behind) {
    set_fills(fill, blocked || bytes >= FILLS_FROM_BYTES || (fill->fills && bytes >= FILLS_ON_BYTES));
    fill->behind = fill->fills && behind;
}

void socket_fill_end(struct socket_fill *fill) {
    set_fills(fill, false);
}

static bool rests(const struct socket_fill *fill) {
    return fill->fills && fill->behind && fill->is_local;
}

short socket_fill_events(const struct socket_fill *fill) {
    return rests(fill) ? 0 : POLLIN;
}

int socket_fill_wait_ms(const struct socket_fill *fill) {
    if (rests(fill))
        return BURST_REST_MS;
    return fill->behind ? FILL_WAIT_BEHIND_MS : FILL_WAIT_MS;
}
