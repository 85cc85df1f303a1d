/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server.h - HTTP: one thread, which answers GET and HEAD from pages.h, and one that turns once a second.
 *
 * Its memory is bounded: by the number of connections, by what each may send before it is understood, and by
 * one answer for each. A connection that is silent or slow is closed (connections.h, events.h). What fails
 * here never reaches the engine.
 */
#pragma once

#include "cdc/base/error.h"
#include "cdc/http/pages.h"

struct server;

/* Takes fd, which listens, also when it fails. pages is the server's until server_end. */
MUST_CHECK bool server_start(struct server **ret_server, struct pages *pages, int fd, struct error *err);

/* Closes every connection, and fd. Accepts NULL. */
void server_end(struct server *server);

/* libmicrohttpd's own version; NULL when pgcdc was built without it. */
const char *server_library_version(void);
