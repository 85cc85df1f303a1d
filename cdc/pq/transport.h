/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.h - who else can read what goes over a connection.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>

enum transport {
    TRANSPORT_LOCAL,      /* a Unix socket or a loopback address: nobody else */
    TRANSPORT_PLAIN,      /* not encrypted: everybody on the way */
    TRANSPORT_UNVERIFIED, /* encrypted, but whoever answered may not be the server that was meant */
    TRANSPORT_VERIFIED,   /* encrypted, and the certificate is of the host that was named; or GSSAPI */
};

/* Of a connection that is open. */
enum transport transport_of(PGconn *conn);

/* host as libpq takes it, address as libpq found it or NULL. */
bool transport_is_local(const char *host, const char *address);
