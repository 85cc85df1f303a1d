/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - the order: those who ask the servers, those who answer.
 */
#include "cdc/http/http.h"

#include <stdlib.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/http/listener.h"

static bool start_all(struct http *http, const struct config *config, const struct lives *lives, int fd,
                      struct error *err) {
    if (!pages_init(&http->pages, config, lives->items, lives->count, &http->probes, err)) {
        close(fd);
        return false;
    }
    http->probes = (struct probes){.config = config, .lives = lives->items, .live_count = lives->count};
    http->has_probes = probes_start(&http->probes, err);
    if (!http->has_probes) {
        close(fd);
        return false;
    }
    return server_start(&http->server, &http->pages, fd, err);
}

/* Both views know them: that of a request, and that of the events. */
static void show_operator(struct pages *pages, struct pauses *pauses, const atomic_llong *stalled_ms) {
    struct view *const views[] = {&pages->view, &pages->event_view};
    for (size_t i = 0; i < sizeof views / sizeof views[0]; i++) {
        views[i]->pauses = pauses;
        views[i]->stalled_now_ms = stalled_ms;
    }
}

bool http_start(const struct config *config, const struct lives *lives, struct pauses *pauses,
                const atomic_llong *stalled_ms, struct http **ret_http, struct error *err) {
    int fd = -1;
    *ret_http = NULL;
    if (config->http.listen == NULL)
        return true;
    if (!listener_open(config, &fd, err))
        return false;
    struct http *http = calloc(1, sizeof *http);
    if (http == NULL) {
        close(fd);
        return error_no_memory(err);
    }
    show_operator(&http->pages, pauses, stalled_ms);
    if (!start_all(http, config, lives, fd, err)) {
        http_end(http);
        return false;
    }
    *ret_http = http;
    log_line(LOG_HTTP_LISTENING, "a page, metrics and health are at http://%s/, without a password",
             config->http.listen);
    return true;
}

void http_end(struct http *http) {
    if (http == NULL)
        return;
    server_end(http->server);
    if (http->has_probes)
        probes_end(&http->probes);
    pages_release(&http->pages);
    free(http);
}
