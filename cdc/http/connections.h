/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connections.h - what a connection may take: time, and another one's place.
 *
 * A request and its answer have REQUEST_MAX_MS in all, however busy the connection is. When nearly all places
 * are taken, a new connection ends the oldest one that has not asked for anything yet. So a client that
 * sends a byte now and then keeps no other one out. Any thread.
 */
#pragma once

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum {
    CONNECTIONS_MAX = 32,
    CONNECTIONS_SPARE = 4, /* below which one is ended: the server needs a moment to close it */
    REQUEST_MAX_MS = 15000,
};

struct place {
    int fd;           /* -1: the place is free */
    int64_t since_ms; /* when it was opened, or its last answer ended */
    bool has_asked;   /* the request has arrived */
    bool is_watching; /* its answer has no end, and its pace is looked after elsewhere */
    bool is_ended;    /* its socket is shut down, and the server has not closed it yet */
};

struct connections {
    pthread_mutex_t lock;
    struct place places[CONNECTIONS_MAX];
};

void connections_init(struct connections *connections);

/* fd stays the server's, which calls connections_close before it closes it. NULL: there is no place. */
struct place *connections_open(struct connections *connections, int fd);
void connections_close(struct connections *connections, struct place *place);

/* The request is complete; the answer is complete. */
void connections_asked(struct connections *connections, struct place *place, bool is_watching);
void connections_answered(struct connections *connections, struct place *place);

/* Shuts down those that have taken too long. */
void connections_end_late(struct connections *connections);

/* Shuts down this one. */
void connections_end(struct connections *connections, struct place *place);
