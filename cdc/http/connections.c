/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connections.c - a table of sockets. The lock keeps a socket open while it is shut down here.
 */
#include "cdc/http/connections.h"

#include <stddef.h>
#include <sys/socket.h>

#include "cdc/base/clock.h"

void connections_init(struct connections *connections) {
    pthread_mutex_init(&connections->lock, NULL);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++)
        connections->places[i].fd = -1;
}

static void shut_down(struct place *place) {
    shutdown(place->fd, SHUT_RDWR);
    place->is_ended = true;
}

/* The oldest one that has not asked yet. One that is being answered ends in time by itself. */
static void make_room(struct connections *connections) {
    struct place *oldest = NULL;
    size_t count = 0;
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct place *place = &connections->places[i];
        if (place->fd < 0 || place->is_ended)
            continue;
        count++;
        if (!place->has_asked && (oldest == NULL || place->since_ms < oldest->since_ms))
            oldest = place;
    }
    if (count >= CONNECTIONS_MAX - CONNECTIONS_SPARE && oldest != NULL)
        shut_down(oldest);
}

struct place *connections_open(struct connections *connections, int fd) {
    struct place *found = NULL;
    pthread_mutex_lock(&connections->lock);
    make_room(connections);
    for (size_t i = 0; i < CONNECTIONS_MAX && found == NULL; i++)
        if (connections->places[i].fd < 0)
            found = &connections->places[i];
    if (found != NULL)
        *found = (struct place){.fd = fd, .since_ms = clock_now_ms()};
    pthread_mutex_unlock(&connections->lock);
    return found;
}

void connections_close(struct connections *connections, struct place *place) {
    pthread_mutex_lock(&connections->lock);
    place->fd = -1;
    pthread_mutex_unlock(&connections->lock);
}

void connections_asked(struct connections *connections, struct place *place, bool is_watching) {
    pthread_mutex_lock(&connections->lock);
    place->has_asked = true;
    place->is_watching = is_watching;
    pthread_mutex_unlock(&connections->lock);
}

void connections_answered(struct connections *connections, struct place *place) {
    pthread_mutex_lock(&connections->lock);
    place->has_asked = place->is_watching = false;
    place->since_ms = clock_now_ms();
    pthread_mutex_unlock(&connections->lock);
}

void connections_end_late(struct connections *connections) {
    const int64_t now_ms = clock_now_ms();
    pthread_mutex_lock(&connections->lock);
    for (size_t i = 0; i < CONNECTIONS_MAX; i++) {
        struct place *place = &connections->places[i];
        if (place->fd >= 0 && !place->is_ended && !place->is_watching &&
            now_ms - place->since_ms > REQUEST_MAX_MS)
            shut_down(place);
    }
    pthread_mutex_unlock(&connections->lock);
}

void connections_end(struct connections *connections, struct place *place) {
    pthread_mutex_lock(&connections->lock);
    if (place->fd >= 0 && !place->is_ended)
        shut_down(place);
    pthread_mutex_unlock(&connections->lock);
}
