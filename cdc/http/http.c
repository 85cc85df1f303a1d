/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.c - the order: the place where the engine tells, those who ask the servers, those who answer.
 */
#include "cdc/http/http.h"

#include <stdlib.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/http/listener.h"

static bool make_lives(struct http *http, const struct config *config, struct error *err) {
    const size_t count = config->part_count > 0 ? config->part_count : 1;
    http->lives = calloc(count, sizeof *http->lives);
    if (http->lives == NULL)
        return error_no_memory(err);
    /* Before its parts begin, the first one is that of all sinks. */
    for (; http->live_count < count; http->live_count++)
        if (!live_init(&http->lives[http->live_count], http->live_count == 0 ? config->sink_count : 1, err))
            return false;
    return true;
}

static bool start_all(struct http *http, const struct config *config, int fd, struct error *err) {
    if (!make_lives(http, config, err) ||
        !view_init(&http->pages.view, config, http->lives, http->live_count, err)) {
        close(fd);
        return false;
    }
    http->probes = (struct probes){.config = config, .lives = http->lives, .live_count = http->live_count};
    http->pages.probes = &http->probes;
    http->has_probes = probes_start(&http->probes, err);
    if (!http->has_probes) {
        close(fd);
        return false;
    }
    return server_start(&http->server, &http->pages, fd, err);
}

bool http_start(const struct config *config, struct http **ret_http, struct error *err) {
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
    if (!start_all(http, config, fd, err)) {
        http_end(http);
        return false;
    }
    *ret_http = http;
    log_line(LOG_LEVEL_INFO, "metrics and health are at http://%s/, without a password", config->http.listen);
    return true;
}

void http_end(struct http *http) {
    if (http == NULL)
        return;
    server_end(http->server);
    if (http->has_probes)
        probes_end(&http->probes);
    view_release(&http->pages.view);
    for (size_t i = 0; i < http->live_count; i++)
        live_release(&http->lives[i]);
    free(http->lives);
    free(http);
}
