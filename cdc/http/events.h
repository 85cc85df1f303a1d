/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.h - /events: an answer without an end, to which a line is added every second, as Server-Sent Events
 * want it.
 *
 * A line is made once, for all that watch, and only while someone does. A client gets the newest line when it
 * has taken the one before, and misses what came in between; one that takes longer than WATCHER_SLOW_MS over
 * a line is dropped. Nothing waits for it.
 */
#pragma once

#include <microhttpd.h>

#include "cdc/base/slice.h"
#include "cdc/http/connections.h"

enum { WATCHERS_MAX = 8, WATCHER_SLOW_MS = 5000 };

struct event;

struct watcher {
    struct events *events;
    struct MHD_Connection *connection; /* NULL: the place is free */
    struct place *place;
    struct event *event; /* that it is being sent; NULL: none yet */
    size_t sent;         /* bytes of it */
    int64_t since_ms;
    bool is_waiting; /* suspended until the next event */
};

struct events {
    pthread_mutex_t lock; /* guards everything below */
    struct connections *connections;
    struct event *latest;
    struct watcher watchers[WATCHERS_MAX];
    bool has_ended;
};

void events_init(struct events *events, struct connections *connections);

/* The server's thread: the answer for one more watcher, or NULL: there are as many as may be. */
struct MHD_Response *events_watch(struct events *events, struct MHD_Connection *connection,
                                  struct place *place);

/* Does anyone watch? */
bool events_are_wanted(struct events *events);

/* Copies the line, and wakes those that wait; drops those that are slow. */
void events_publish(struct events *events, struct slice line);

/* Ends every answer; before the server is stopped. */
void events_end(struct events *events);

/* After it. */
void events_release(struct events *events);
