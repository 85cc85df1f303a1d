/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - who else can read the data of a connection.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

enum transport {
    TRANSPORT_LOCAL,      /* a Unix socket or a loopback address: no one else */
    TRANSPORT_PLAIN,      /* not encrypted: anyone on the way */
    TRANSPORT_UNVERIFIED, /* encrypted, but the peer may not be the server that was meant */
    TRANSPORT_VERIFIED,   /* encrypted, with a certificate for the host in the dsn; or GSSAPI */
};

/* Of an open connection. */
enum transport transport_of(PGconn *conn);

/* host in libpq's form; address as libpq found it, or NULL. */
bool transport_is_local(const char *host, const char *address);
