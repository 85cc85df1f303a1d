/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.h - connects with a list of parameters: one address after the other, each with its own time limit.
 */
#pragma once

#include "cdc/pq/session.h"

#define CONNECT_PARAMETERS_MAX 24

/* In libpq's form; later parameters win. One of them is dbname with the whole dsn. */
struct connect_parameters {
    const char *keywords[CONNECT_PARAMETERS_MAX + 1];
    const char *values[CONNECT_PARAMETERS_MAX + 1];
    int count;
};

void connect_parameters_add(struct connect_parameters *parameters, const char *keyword, const char *value);

/*
 * Sets session->conn. The next address is tried when one cannot be reached, is starting up or does not fit
 * target_session_attrs. A server that refuses us ends the attempt, as in libpq.
 */
MUST_CHECK bool connect_session(struct session *session, const struct connect_parameters *parameters,
                                const char *dsn, struct error *err);
