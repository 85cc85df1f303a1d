/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_fill.h - lets the replication socket fill, so that the server sends much at a time.
 *
 * walsender makes a system call per change, and what that costs depends on us. A reader that sleeps in recv()
 * makes each call a wake-up. While data flows we therefore ask to be woken only when much is there or after a
 * millisecond. In a backlog from our own host we go further: a small receive window and a rest between the
 * bursts. A full window keeps the server's bytes in its own send buffer, where a call appends and returns;
 * they cross in a few large segments when we read. This works because a local window opens at once; over a
 * network each would cost a round trip. When nothing flows, the first byte wakes us: latency does not pay.
 * Nor does it while every runner is busy: what comes meanwhile is read at once when one of them wants it.
 * While small transactions come one by one, a runner that waits has use for a whole one only, so the socket
 * wakes us when as many bytes are there as the smallest of those that came lately, not at each of its
 * messages.
 *
 * One thread, the stream's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct socket_fill {
    int fd;                 /* not owned; -1: none yet */
    bool is_local;          /* TCP, and both ends are this host */
    bool fills;             /* data flows */
    bool unhurried;         /* little comes, for which nobody waits yet */
    bool behind;            /* it flows, and is a backlog */
    int wakes_at;           /* so many bytes, as the socket is set */
    size_t smallest;        /* transaction of the last ones, in bytes; 0: none came yet */
    size_t smallest_next;   /* of those that came since that was found out ... */
    unsigned counted;       /* ... which are so many */
    int64_t flowed_ms;      /* when something came for the last time */
    int rest_ms;            /* between two bursts */
    int64_t rests_until_ms; /* on clock_now_ms's clock; 0: no rest */
};

/* fd: a connected socket, in use from now on. */
void socket_fill_init(struct socket_fill *fill, int fd);

/* What one reading until the socket was empty found. */
struct socket_reading {
    size_t bytes;
    bool blocked; /* it stopped because there was no room */
    bool behind;  /* what comes is a backlog, which has no latency to lose */
    bool wanted;  /* a runner waits for more; when none does, the next one that does wakes the stream */
    bool in_transaction; /* whose end has not come */
    int64_t now_ms;
};

void socket_fill_note(struct socket_fill *fill, const struct socket_reading *reading);

/* A whole transaction came, of so many bytes on the wire. */
void socket_fill_note_transaction(struct socket_fill *fill, size_t bytes);

/* Nobody reads any more: wake at the first byte. */
void socket_fill_end(struct socket_fill *fill);

/*
 * Whether the server is left alone for now: whoever wakes the stream meanwhile (a runner that waits, a
 * confirmation) gets what he wants, but nothing is read. A read in the middle of a rest would open the window
 * for a few bytes.
 */
bool socket_fill_rests(const struct socket_fill *fill, int64_t now_ms);

/* Whether less may be there than the socket wakes us for, so that we look by ourselves. */
bool socket_fill_is_set(const struct socket_fill *fill);

/* What to poll for (POLLIN, or 0 in a rest), and, while it is set, for how long at most. */
short socket_fill_events(const struct socket_fill *fill, int64_t now_ms);
int socket_fill_wait_ms(const struct socket_fill *fill, int64_t now_ms);
