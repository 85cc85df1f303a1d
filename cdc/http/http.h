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
    struct probes probes;
    bool has_probes;
    struct pages pages;
    struct server *server;
};

/*
 * lives, pauses and stalled_ms outlive it. *ret_http is NULL when the file has no such section. After an
 * error nothing runs.
 */
MUST_CHECK bool http_start(const struct config *config, const struct lives *lives, struct pauses *pauses,
                           const atomic_llong *stalled_ms, struct http **ret_http, struct error *err);

/* After the pipeline has ended. Accepts NULL. */
void http_end(struct http *http);
