/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.c - libmicrohttpd.
 */
#include "cdc/http/server.h"

#include <microhttpd.h>
#include <string.h>
#include <unistd.h>

enum {
    CONNECTIONS_MAX = 32,
    CONNECTION_BYTES_MAX = 16 * 1024, /* of a request: its line and its headers; answers are beside it */
    SILENCE_MAX_S = 10,
};

/* libmicrohttpd calls the handler once for the headers, before the body, and once more after it. */
static char HEADERS_SEEN;

static enum MHD_Result send_page(struct MHD_Connection *connection, struct page *page) {
    struct MHD_Response *response =
        MHD_create_response_from_buffer(page->text.size, page->text.data, MHD_RESPMEM_MUST_COPY);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_CONTENT_TYPE, page->type);
    MHD_add_response_header(response, MHD_HTTP_HEADER_CACHE_CONTROL, "no-store");
    MHD_add_response_header(response, "X-Content-Type-Options", "nosniff");
    const enum MHD_Result is_queued = MHD_queue_response(connection, page->status, response);
    MHD_destroy_response(response);
    return is_queued;
}

static enum MHD_Result refuse_method(struct MHD_Connection *connection) {
    static char TEXT[] = "only GET and HEAD\n";
    struct MHD_Response *response =
        MHD_create_response_from_buffer(sizeof TEXT - 1, TEXT, MHD_RESPMEM_PERSISTENT);
    if (response == NULL)
        return MHD_NO;
    MHD_add_response_header(response, MHD_HTTP_HEADER_ALLOW, "GET, HEAD");
    const enum MHD_Result is_queued = MHD_queue_response(connection, MHD_HTTP_METHOD_NOT_ALLOWED, response);
    MHD_destroy_response(response);
    return is_queued;
}

static enum MHD_Result server_answer(void *context, struct MHD_Connection *connection, const char *path,
                                     const char *method, const char *version, const char *body,
                                     size_t *body_size, void **seen) {
    struct pages *pages = context;
    struct page page;
    (void) version, (void) body;
    if (strcmp(method, MHD_HTTP_METHOD_GET) != 0 && strcmp(method, MHD_HTTP_METHOD_HEAD) != 0)
        return refuse_method(connection);
    if (*seen == NULL) {
        *seen = &HEADERS_SEEN;
        return MHD_YES;
    }
    if (*body_size > 0)
        return MHD_NO; /* closes the connection */
    pages_make(pages, path, &page);
    const enum MHD_Result is_sent = send_page(connection, &page);
    buffer_release(&page.text);
    return is_sent;
}

bool server_start(struct server **ret_server, struct pages *pages, int fd, struct error *err) {
    struct MHD_Daemon *daemon = MHD_start_daemon(
        MHD_USE_INTERNAL_POLLING_THREAD | MHD_USE_POLL, 0, NULL, NULL, server_answer, pages,
        MHD_OPTION_LISTEN_SOCKET, fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned) CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t) CONNECTION_BYTES_MAX, MHD_OPTION_CONNECTION_TIMEOUT,
        (unsigned) SILENCE_MAX_S, MHD_OPTION_END);
    if (daemon == NULL) {
        close(fd);
        return error_set(err, ERROR_SYSTEM, "http.listen: the server cannot be started");
    }
    *ret_server = (struct server *) daemon;
    return true;
}

void server_end(struct server *server) {
    if (server != NULL)
        MHD_stop_daemon((struct MHD_Daemon *) server);
}
