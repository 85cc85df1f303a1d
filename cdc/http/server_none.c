/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_none.c - of a pgcdc without libmicrohttpd: the configuration has refused the section http already.
 */
#include <unistd.h>

#include "cdc/http/server.h"

bool server_start(struct server **ret_server, struct pages *pages, int fd, struct error *err) {
    (void) ret_server, (void) pages;
    close(fd);
    return error_set(err, ERROR_CONFIG, "this pgcdc was built without libmicrohttpd");
}

void server_end(struct server *server) {
    (void) server;
}

const char *server_library_version(void) {
    return NULL;
}
