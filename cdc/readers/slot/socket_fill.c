/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_fill.c - see socket_fill.h.
 *
 * A rest lasts as long as the server needs to write several windows, so that the window is closed most of the
 * time. Measured on a backlog of 200,000 one-row transactions and one of 300,000 wide rows, two cores: the
 * walsender uses 2.3 and 2.3 s of processor time instead of 3.7 and 3.3. A fixed rest of 10 ms always helped
 * the wide rows, and the narrow ones only in some runs. A window of 16 kB or less stalls, because loopback's
 * segments are larger.
 */
#include "cdc/readers/slot/socket_fill.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>

enum {
    FILL_BYTES = 64 * 1024,
    FILLS_FROM_BYTES = FILL_BYTES / 4, /* a read of this size starts filling */
    FILLS_ON_BYTES = 4096,             /* ... and reads of this size continue it */
    FILL_WAIT_MS = 1,
    FILL_WAIT_BEHIND_MS = 4,
    WINDOW_BYTES = 128 * 1024,
    MEMORY_BYTES = 8 * WINDOW_BYTES,
    BURST_BYTES = 4 * WINDOW_BYTES, /* intended size of a burst */
    REST_MIN_MS = 5,
    REST_MAX_MS = 40,
    WAKES_BYTES_MIN = 1,
    FLOW_MS = 2,      /* this long after the last bytes the next transaction is expected soon */
    SMALLEST_OF = 64, /* transactions; a smaller one counts at once */
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

/*
 * A Unix socket does not count: its content is bounded by the sender's buffer, so that a rest would only stop
 * the sender.
 */
static bool is_local_tcp(int fd) {
    union address here = {0}, there = {0};
    socklen_t here_size = sizeof here, there_size = sizeof there;
    return getsockname(fd, &here.any, &here_size) == 0 && getpeername(fd, &there.any, &there_size) == 0 &&
           same_host(&here, &there);
}

/* A failure of setsockopt costs speed and nothing else. Unix sockets ignore it. */
static void wake_at(struct socket_fill *fill, int bytes) {
    if (fill->wakes_at == bytes)
        return;
    fill->wakes_at = bytes;
    setsockopt(fill->fd, SOL_SOCKET, SO_RCVLOWAT, &bytes, sizeof bytes);
}

/*
 * A small window with a large buffer: a message of a hundred bytes can occupy a thousand bytes of kernel
 * memory. With a buffer as small as the window, a segment without room is dropped and sent again after 200
 * ms.
 */
static void narrow_window(int fd) {
    const int window_bytes = WINDOW_BYTES, memory_bytes = MEMORY_BYTES;
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &memory_bytes, sizeof memory_bytes);
    setsockopt(fd, IPPROTO_TCP, TCP_WINDOW_CLAMP, &window_bytes, sizeof window_bytes);
}

void socket_fill_init(struct socket_fill *fill, int fd) {
    *fill = (struct socket_fill){
        .fd = fd, .is_local = is_local_tcp(fd), .rest_ms = REST_MIN_MS, .wakes_at = WAKES_BYTES_MIN};
    if (fill->is_local)
        narrow_window(fd);
}

void socket_fill_note_transaction(struct socket_fill *fill, size_t bytes) {
    if (fill->smallest == 0 || bytes < fill->smallest)
        fill->smallest = bytes;
    if (fill->counted == 0 || bytes < fill->smallest_next)
        fill->smallest_next = bytes;
    if (++fill->counted < SMALLEST_OF)
        return;
    fill->smallest = fill->smallest_next;
    fill->counted = 0;
}

/* How many bytes make a read worth while: many, or a transaction where one is expected, or any. */
static int worth_bytes(const struct socket_fill *fill, const struct socket_reading *reading) {
    if (fill->fills || fill->unhurried)
        return FILL_BYTES;
    if (reading->in_transaction || fill->smallest == 0 || reading->now_ms - fill->flowed_ms > FLOW_MS)
        return WAKES_BYTES_MIN;
    return fill->smallest < FILL_BYTES ? (int) fill->smallest : FILL_BYTES;
}

/* By about a quarter at a time, so that one odd burst changes little. */
static void adjust_rest(struct socket_fill *fill, size_t bytes) {
    int step_ms = fill->rest_ms / 4 + 1;
    fill->rest_ms += bytes < BURST_BYTES ? step_ms : -step_ms;
    if (fill->rest_ms < REST_MIN_MS)
        fill->rest_ms = REST_MIN_MS;
    if (fill->rest_ms > REST_MAX_MS)
        fill->rest_ms = REST_MAX_MS;
}

void socket_fill_note(struct socket_fill *fill, const struct socket_reading *reading) {
    const bool rested = fill->rests_until_ms != 0;
    const bool fills = reading->blocked || reading->bytes >= FILLS_FROM_BYTES ||
                       (fill->fills && reading->bytes >= FILLS_ON_BYTES);
    fill->fills = fills;
    fill->unhurried = reading->bytes > 0 && !reading->wanted;
    if (reading->bytes > 0)
        fill->flowed_ms = reading->now_ms;
    wake_at(fill, worth_bytes(fill, reading));
    if (rested && fill->fills)
        adjust_rest(fill, reading->bytes);
    fill->behind = fill->fills && reading->behind;
    /* no free batch is a rest by itself */
    const bool rests = fill->behind && fill->is_local && !reading->blocked;
    fill->rests_until_ms = rests ? reading->now_ms + fill->rest_ms : 0;
}

void socket_fill_end(struct socket_fill *fill) {
    fill->fills = fill->unhurried = false;
    fill->rests_until_ms = 0;
    wake_at(fill, WAKES_BYTES_MIN);
}

bool socket_fill_rests(const struct socket_fill *fill, int64_t now_ms) {
    return now_ms < fill->rests_until_ms;
}

bool socket_fill_is_set(const struct socket_fill *fill) {
    return fill->wakes_at > WAKES_BYTES_MIN;
}

short socket_fill_events(const struct socket_fill *fill, int64_t now_ms) {
    return socket_fill_rests(fill, now_ms) ? 0 : POLLIN;
}

int socket_fill_wait_ms(const struct socket_fill *fill, int64_t now_ms) {
    if (socket_fill_rests(fill, now_ms))
        return (int) (fill->rests_until_ms - now_ms);
    return fill->behind ? FILL_WAIT_BEHIND_MS : FILL_WAIT_MS;
}
