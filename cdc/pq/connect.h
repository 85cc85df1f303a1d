/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.h - from a list of parameters to a connection: one address after the other, each with its own time.
 */
#pragma once

#include "cdc/pq/session.h"

#define CONNECT_PARAMETERS_MAX 24

/* As libpq takes them; later ones win. One of them is dbname with the whole dsn. */
struct connect_parameters {
    const char *keywords[CONNECT_PARAMETERS_MAX + 1];
    const char *values[CONNECT_PARAMETERS_MAX + 1];
    int count;
};

void connect_parameters_add(struct connect_parameters *parameters, const char *keyword, const char *value);

/*
 * Sets session->conn. The next address is tried when one cannot be reached, is starting up or is not what
 * target_session_attrs asks for; a server that turns us away is believed, as libpq does.
 */
MUST_CHECK bool connect_session(struct session *session, const struct connect_parameters *parameters,
                                const char *dsn, struct error *err);
