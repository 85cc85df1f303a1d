/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transport.c - what libpq has negotiated.
 */
#include "cdc/pq/transport.h"

#include <string.h>

static bool starts_with(const char *text, const char *prefix) {
    return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool transport_is_local(const char *host, const char *address) {
    const char *name = address != NULL && address[0] != '\0' ? address : host;
    if (name == NULL || name[0] == '\0' || name[0] == '/' || name[0] == '@')
        return true;
    return starts_with(name, "127.") || strcmp(name, "::1") == 0 || strcmp(name, "localhost") == 0;
}

static bool is_verified(PGconn *conn) {
    PQconninfoOption *options = PQconninfo(conn);
    bool verified = false;
    for (const PQconninfoOption *option = options; option != NULL && option->keyword != NULL; option++)
        verified = verified || (strcmp(option->keyword, "sslmode") == 0 && option->val != NULL &&
                                strcmp(option->val, "verify-full") == 0);
    PQconninfoFree(options);
    return verified;
}

enum transport transport_of(PGconn *conn) {
    if (transport_is_local(PQhost(conn), PQhostaddr(conn)))
        return TRANSPORT_LOCAL;
    if (PQgssEncInUse(conn) != 0)
        return TRANSPORT_VERIFIED;
    if (PQsslInUse(conn) == 0)
        return TRANSPORT_PLAIN;
    return is_verified(conn) ? TRANSPORT_VERIFIED : TRANSPORT_UNVERIFIED;
}
