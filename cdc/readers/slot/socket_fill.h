/* SPDX-License-Identifier: Apache-2.0 */
/*
 * socket_fill.h - lets the replication socket fill, so that the server sends much at a time.
 *
 * The walsender makes a system call per change, whose cost depends on us: a reader that sleeps in recv()
 * makes each call a wake-up. So while data flows, we ask to be woken only when much is there, or after a
 * millisecond.
 *
 * In a backlog from our own host we go further: a small receive window, and a rest between bursts. While the
 * window is full, the server's bytes stay in its own send buffer, where a call appends and returns. They
 * cross in a few large segments when we read. This works because a local window opens at once; over a network
 * each opening would cost a round trip.
 *
 * When idle, the first byte wakes us, so latency is unaffected. While every runner is busy, data accumulates,
 * and it is read as soon as one asks. While small transactions arrive one by one, a waiting runner needs a
 * whole one. So the socket wakes us at as many bytes as the smallest recent transaction had, not at each of
 * its messages.
 *
 * Used by the feed's thread only.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct socket_fill {
    int fd;                 /* not owned; -1: none yet */
    bool is_local;          /* TCP, and both ends are this host */
    bool fills;             /* data flows */
    bool unhurried;         /* little data arrives, and no runner waits for it */
    bool behind;            /* data flows, and is a backlog */
    int wakes_at;           /* the socket's current low-water mark, in bytes */
    size_t smallest;        /* size of the smallest recent transaction; 0: none came yet */
    size_t smallest_next;   /* the smallest since that was determined ... */
    unsigned counted;       /* ... among this many */
    int64_t flowed_ms;      /* when bytes last arrived */
    int rest_ms;            /* between two bursts */
    int64_t rests_until_ms; /* by clock_now_ms; 0: no rest */
};

/* fd: a connected socket, used from now on. */
void socket_fill_init(struct socket_fill *fill, int fd);

/* The result of reading until the socket was empty. */
struct socket_reading {
    size_t bytes;
    bool blocked;        /* reading stopped because no batch was free */
    bool behind;         /* the data is a backlog, whose latency does not matter */
    bool wanted;         /* a runner waits for more; when none does, the next one that waits wakes the feed */
    bool in_transaction; /* the transaction's end has not arrived */
    int64_t now_ms;
};

void socket_fill_note(struct socket_fill *fill, const struct socket_reading *reading);

/* A whole transaction arrived, with this many bytes on the wire. */
void socket_fill_note_transaction(struct socket_fill *fill, size_t bytes);

/* Reading has ended: wake at the first byte. */
void socket_fill_end(struct socket_fill *fill);

/*
 * Must the socket be left alone for now? A wake-up during a rest (a runner that waits, a confirmation) is
 * served, but the socket is not read. A read in the middle of a rest would open the window for a few bytes.
 */
bool socket_fill_rests(const struct socket_fill *fill, int64_t now_ms);

/* May the socket hold bytes without waking us, so that we must look at intervals? */
bool socket_fill_is_set(const struct socket_fill *fill);

/* Events to poll for (POLLIN, or 0 in a rest), and, while the mark is set, for how long at most. */
short socket_fill_events(const struct socket_fill *fill, int64_t now_ms);
int socket_fill_wait_ms(const struct socket_fill *fill, int64_t now_ms);
