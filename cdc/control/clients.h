/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.h - those who are connected to NAME.sock: a line of JSON in, a line out.
 *
 * A client can only harm itself: nothing here waits for one. It has ten seconds for a line and for each
 * that follows, and a line has a maximum. When all places are taken, the client that has been silent longest
 * makes room. A client of another user is told so and closed.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/control/console.h"

MUST_CHECK bool clients_open(struct console *console, struct clients **ret_clients, struct error *err);

/* Waits timeout_ms at most for something to do, and does it. */
void clients_serve(struct clients *clients, int timeout_ms);

/* Removes the socket. Accepts NULL. */
void clients_close(struct clients *clients);
