/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - libmicrohttpd, and a thread that turns once a second.
 */
#include "cdc/http/server.h"

#include <microhttpd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/http/events.h"

enum {
    CONNECTION_BYTES_MAX = 16 * 1024, /* of a request: its line and its headers; answers are beside it */
    SILENCE_MAX_S = 10,
    EVENT_POINTS = 5, /* of the history, in an event: a page that misses some has no gap */
};

#define EVENTS_PATH "/events"

struct server {
    struct pages *pages;
    struct MHD_Daemon *daemon;
    struct connections connections;
    struct events events;
    pthread_t thread;
    pthread_mutex_t lock; /* guards has_ended */
    pthread_cond_t ends;
    bool has_ended;
};

/* libmicrohttpd calls the handler once for the headers, before the body, and once more after it. */
static char HEADERS_SEEN;

/* ---- answers ---- */

static enum MHD_Result send_response(struct MHD_Connection *connection, struct MHD_Response *response,
                                     unsigned status, const char *type, const char *policy) {
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "Content-Security-Policy", policy);
    MHD_add_response_header(response, "Cross-Origin-Resource-Policy", "same-origin");
    MHD_add_response_header(response, "Referrer-Policy", "no-referrer");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    const enum MHD_Result is_queued = MHD_queue_response(connection, status, response);
    MHD_destroy_response(response);
    return is_queued;
}

static enum MHD_Result send_page(struct MHD_Connection *connection, struct page *page) {
    return send_response(
        connection, MHD_create_response_from_buffer(page->text.size, page->text.data, MHD_RESPMEM_MUST_COPY),
        page->status, page->type, page->policy);
}

static enum MHD_Result refuse_method(struct MHD_Connection *connection) {
    static char TEXT[] = "only GET and HEAD\n";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof TEXT - 1, TEXT, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    return send_response(connection, response, MHD_HTTP_METHOD_NOT_ALLOWED, PAGE_TEXT_TYPE, PAGE_NO_POLICY);
}

static enum MHD_Result send_events(struct server *server, struct MHD_Connection *connection,
                                   struct place *place) {
    static char TEXT[] = "as many pages are watching as may; /status.json says the same once\n";
    struct MHD_Response *response = events_watch(&server->events, connection, place);
    if (response != NULL)
        return send_response(connection, response, MHD_HTTP_OK, "text/event-stream", PAGE_NO_POLICY);
    return send_response(connection,
                         MHD_create_response_from_buffer(sizeof TEXT - 1, TEXT, MHD_RESPMEM_PERSISTENT),
                         MHD_HTTP_SERVICE_UNAVAILABLE, PAGE_TEXT_TYPE, PAGE_NO_POLICY);
}

static struct place *place_of(struct MHD_Connection *connection) {
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(connection, MHD_CONNECTION_INFO_SOCKET_CONTEXT);
    return info != NULL ? info->socket_context : NULL;
}

static enum MHD_Result server_answer(void *context, struct MHD_Connection *connection, const char *path,
                                     const char *method, const char *version, const char *body,
                                     size_t *body_size, void **seen) {
    struct server *server = context;
    struct place *place = place_of(connection);
    struct page page;
    (void) version, (void) body;
    if (place == NULL)
        return MHD_NO; /* closes the connection */
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse_method(connection);
    if (*seen == NULL) {
        *seen = &HEADERS_SEEN;
        return MHD_YES;
    }
    if (*body_size > 0)
        return MHD_NO;
    const bool is_watching = strcmp(path, EVENTS_PATH) == 0 && strcmp(method, MHD_HTTP_METHOD_GET) == 0;
    connections_asked(&server->connections, place, is_watching);
    if (is_watching)
        return send_events(server, connection, place);
    pages_make(server->pages, path, &page);
    const enum MHD_Result is_sent = send_page(connection, &page);
    buffer_release(&page.text);
    return is_sent;
}

static void server_answered(void *context, struct MHD_Connection *connection, void **seen,
                            enum MHD_RequestTerminationCode code) {
    struct server *server = context;
    struct place *place = place_of(connection);
    (void) seen, (void) code;
    if (place != NULL)
        connections_answered(&server->connections, place);
}

static void server_connected(void *context, struct MHD_Connection *connection, void **place,
                             enum MHD_ConnectionNotificationCode code) {
    struct server *server = context;
    if (code == MHD_CONNECTION_NOTIFY_STARTED) {
        const union MHD_ConnectionInfo *info =
            MHD_get_connection_info(connection, MHD_CONNECTION_INFO_CONNECTION_FD);
        *place = info != NULL ? connections_open(&server->connections, info->connect_fd) : NULL;
    } else if (*place != NULL) {
        connections_close(&server->connections, *place);
        *place = NULL;
    }
}

/* ---- once a second ---- */

static bool server_wait(struct server *server) {
    const struct timespec until = clock_deadline(HISTORY_INTERVAL_MS);
    int failure = 0;
    pthread_mutex_lock(&server->lock);
    while (!server->has_ended && failure == 0)
        failure = pthread_cond_timedwait(&server->ends, &server->lock, &until);
    const bool goes_on = !server->has_ended;
    pthread_mutex_unlock(&server->lock);
    return goes_on;
}

static void *server_turn(void *argument) {
    struct server *server = argument;
    struct slice line;
    do {
        pages_tick(server->pages);
        connections_end_late(&server->connections);
        if (events_are_wanted(&server->events) && pages_event(server->pages, EVENT_POINTS, &line))
            events_publish(&server->events, line);
    } while (server_wait(server));
    return NULL;
}

/* ---- begin and end ---- */

static void server_init(struct server *server, struct pages *pages) {
    pthread_condattr_t attributes;
    server->pages = pages;
    connections_init(&server->connections);
    events_init(&server->events, &server->connections);
    pthread_mutex_init(&server->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&server->ends, &attributes);
    pthread_condattr_destroy(&attributes);
}

static bool start_daemon(struct server *server, int fd, struct error *err) {
    server->daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL | MHD_ALLOW_SUSPEND_RESUME, 0, NULL, NULL,
        server_answer, server, MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT,
        (unsigned) CONNECTIONS_MAX, MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_BYTES_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned) SILENCE_MAX_S, MHD_OPTION_NOTIFY_CONNECTION,
        server_connected, server, MHD_OPTION_NOTIFY_COMPLETED, server_answered, server, MHD_OPTION_END);
    if (server->daemon != NULL)
        return true;
    close(fd);
    return error_set(err, ERROR_SYSTEM, "http.listen: the server cannot be started");
}

bool server_start(struct server **ret_server, struct pages *pages, int fd, struct error *err) {
    struct server *server = calloc(1, sizeof *server);
    if (server == NULL) {
        close(fd);
        return error_no_memory(err);
    }
    server_init(server, pages);
    if (!start_daemon(server, fd, err)) {
        free(server);
        return false;
    }
    const int failure = pthread_create(&server->thread, NULL, server_turn, server);
    if (failure != 0) {
        MHD_stop_daemon(server->daemon);
        free(server);
        return error_set(err, ERROR_SYSTEM, "a thread for the page: %s", strerror(failure));
    }
    *ret_server = server;
    return true;
}

void server_end(struct server *server) {
    if (server == NULL)
        return;
    pthread_mutex_lock(&server->lock);
    server->has_ended = true;
    pthread_cond_broadcast(&server->ends);
    pthread_mutex_unlock(&server->lock);
    pthread_join(server->thread, NULL);
    events_end(&server->events);
    MHD_stop_daemon(server->daemon);
    events_release(&server->events);
    pthread_cond_destroy(&server->ends);
    pthread_mutex_destroy(&server->lock);
    free(server);
}

const char *server_library_version(void) {
    return MHD_get_version();
}
