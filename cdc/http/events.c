/* SPDX-License-Identifier: Apache-2.0 */
/*
 * events.c - lines that are shared by those that are being sent them.
 */
#include "cdc/http/events.h"

#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "cdc/base/clock.h"

#define EVENT_HEAD "data: "
#define EVENT_END "\n\n"

enum { BLOCK_BYTES = 16 * 1024, SOCKET_BYTES = 64 * 1024 };

struct event {
    size_t users; /* the watchers that send it, and events.latest */
    size_t size;
    char text[];
};

static struct event *make_event(struct slice line) {
    struct event *event = malloc(sizeof *event + line.size + sizeof EVENT_HEAD + sizeof EVENT_END);
    if (event == NULL)
        return NULL;
    char *end = mempcpy(event->text, EVENT_HEAD, sizeof EVENT_HEAD - 1);
    end = mempcpy(end, line.data, line.size);
    end = mempcpy(end, EVENT_END, sizeof EVENT_END - 1);
    event->users = 1;
    event->size = (size_t) (end - event->text);
    return event;
}

/* The lock is held. Accepts NULL. */
static void release_event(struct event *event) {
    if (event != NULL && --event->users == 0)
        free(event);
}

void events_init(struct events *events, struct connections *connections) {
    *events = (struct events){.connections = connections};
    pthread_mutex_init(&events->lock, NULL);
}

/* ---- the server's thread ---- */

static bool take_latest(struct watcher *watcher) {
    struct event *latest = watcher->events->latest;
    if (latest == NULL || latest == watcher->event)
        return false;
    release_event(watcher->event);
    latest->users++;
    watcher->event = latest;
    watcher->sent = 0;
    watcher->since_ms = clock_now_ms();
    return true;
}

static ssize_t send_some(struct watcher *watcher, char *block, size_t max) {
    const struct event *event = watcher->event;
    if ((event == NULL || watcher->sent == event->size) && !take_latest(watcher)) {
        watcher->is_waiting = true;
        MHD_suspend_connection(watcher->connection);
        return 0;
    }
    event = watcher->event;
    const size_t rest = event->size - watcher->sent;
    const size_t size = rest < max ? rest : max;
    memcpy(block, event->text + watcher->sent, size);
    watcher->sent += size;
    return (ssize_t) size;
}

static ssize_t events_read(void *context, uint64_t position, char *block, size_t max) {
    struct watcher *watcher = context;
    struct events *events = watcher->events;
    (void) position;
    pthread_mutex_lock(&events->lock);
    const ssize_t size =
        events->has_ended ? (ssize_t) MHD_CONTENT_READER_END_OF_STREAM : send_some(watcher, block, max);
    pthread_mutex_unlock(&events->lock);
    return size;
}

static void events_leave(void *context) {
    struct watcher *watcher = context;
    struct events *events = watcher->events;
    pthread_mutex_lock(&events->lock);
    release_event(watcher->event);
    *watcher = (struct watcher){0};
    pthread_mutex_unlock(&events->lock);
}

static struct watcher *find_free(struct events *events) {
    for (size_t i = 0; i < WATCHERS_MAX; i++)
        if (events->watchers[i].connection == NULL)
            return &events->watchers[i];
    return NULL;
}

struct MHD_Response *events_watch(struct events *events, struct MHD_Connection *connection,
                                  struct place *place) {
    pthread_mutex_lock(&events->lock);
    struct watcher *watcher = find_free(events);
    if (watcher != NULL)
        *watcher = (struct watcher){
            .events = events, .connection = connection, .place = place, .since_ms = clock_now_ms()};
    pthread_mutex_unlock(&events->lock);
    if (watcher == NULL)
        return NULL;
    /* Or the kernel would keep megabytes for a client that reads nothing. */
    const int bytes = SOCKET_BYTES;
    if (setsockopt(place->fd, SOL_SOCKET, SO_SNDBUF, &bytes, sizeof bytes) != 0) {
        events_leave(watcher);
        return NULL;
    }
    struct MHD_Response *response =
        MHD_create_response_from_callback(MHD_SIZE_UNKNOWN, BLOCK_BYTES, events_read, watcher, events_leave);
    if (response == NULL)
        events_leave(watcher);
    return response;
}

/* ---- the thread that makes the lines ---- */

bool events_are_wanted(struct events *events) {
    bool are_wanted = false;
    pthread_mutex_lock(&events->lock);
    for (size_t i = 0; i < WATCHERS_MAX; i++)
        are_wanted = are_wanted || events->watchers[i].connection != NULL;
    if (!are_wanted) {
        release_event(events->latest); /* old when the next one comes */
        events->latest = NULL;
    }
    pthread_mutex_unlock(&events->lock);
    return are_wanted;
}

static void wake(struct watcher *watcher) {
    if (!watcher->is_waiting)
        return;
    watcher->is_waiting = false;
    watcher->since_ms = clock_now_ms();
    MHD_resume_connection(watcher->connection);
}

void events_publish(struct events *events, struct slice line) {
    const int64_t now_ms = clock_now_ms();
    struct event *event = make_event(line);
    pthread_mutex_lock(&events->lock);
    if (event != NULL) {
        release_event(events->latest);
        events->latest = event;
    }
    for (size_t i = 0; i < WATCHERS_MAX; i++) {
        struct watcher *watcher = &events->watchers[i];
        if (watcher->connection == NULL)
            continue;
        if (!watcher->is_waiting && now_ms - watcher->since_ms > WATCHER_SLOW_MS)
            connections_end(events->connections, watcher->place);
        wake(watcher);
    }
    pthread_mutex_unlock(&events->lock);
}

void events_end(struct events *events) {
    pthread_mutex_lock(&events->lock);
    events->has_ended = true;
    for (size_t i = 0; i < WATCHERS_MAX; i++)
        if (events->watchers[i].connection != NULL)
            wake(&events->watchers[i]);
    pthread_mutex_unlock(&events->lock);
}

void events_release(struct events *events) {
    pthread_mutex_lock(&events->lock);
    release_event(events->latest);
    events->latest = NULL;
    pthread_mutex_unlock(&events->lock);
    pthread_mutex_destroy(&events->lock);
}
