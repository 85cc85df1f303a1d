/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.h - what a connection that did not come about means.
 *
 * The server's reason is known by its SQLSTATE, which is the same in every language. libpq has no field for
 * it before a connection is there, but writes it into its text when the connection is verbose:
 *
 *     connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  28P01: password ...
 *     LOCATION:  auth_failed, auth.c:341
 *
 * What libpq says by itself is in English, since this program never calls setlocale.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

#include "cdc/base/error.h"

/*
 * Fills *err from a failed connection with PQERRORS_VERBOSE: text in one line without code and place, which
 * have fields. CONFIG for what only an operator can change, RETRY for all else. Returns false.
 */
bool refusal_read(const PGconn *conn, const char *peer, struct error *err);

/* The same from libpq's text; for tests, too. */
bool refusal_parse(const char *message, const char *peer, struct error *err);
