/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http.h - metrics and health of a pipeline that runs, while it runs.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/engine/live.h"
#include "cdc/http/pages.h"
#include "cdc/http/probe.h"
#include "cdc/http/server.h"

struct http {
    struct live *lives; /* one for each part of the pipeline, for pipeline_options.live */
    size_t live_count;
    struct probes probes;
    bool has_probes;
    struct pages pages;
    struct server *server;
};

/* *ret_http is NULL when the configuration has no such section. After an error nothing runs. */
MUST_CHECK bool http_start(const struct config *config, struct http **ret_http, struct error *err);

/* After the pipeline has ended. Accepts NULL. */
void http_end(struct http *http);
