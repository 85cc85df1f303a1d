/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.h - why a connection failed.
 *
 * The server's SQLSTATE tells the reason, in every language. libpq has no field for it before the connection
 * exists, but writes it into its text when the connection is verbose:
 *
 *     connection to server at "db" (10.0.0.1), port 5432 failed: FATAL:  28P01: password ...
 *     LOCATION:  auth_failed, auth.c:341
 *
 * libpq's own messages are in English, since this program never calls setlocale.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

#include "cdc/base/error.h"

/*
 * Fills *err from a failed connection with PQERRORS_VERBOSE. The text is one line without code and place,
 * which have fields. ERROR_CONFIG for reasons that only an operator can remove, ERROR_RETRY for all others.
 * Returns false.
 */
bool refusal_read(const PGconn *conn, const char *peer, struct error *err);

/* The same from libpq's text; also for tests. */
bool refusal_parse(const char *message, const char *peer, struct error *err);
