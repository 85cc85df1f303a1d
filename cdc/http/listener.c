/* SPDX-License-Identifier: Apache-2.0 */
/*
 * listener.c - socket, bind, listen.
 */
#include "cdc/http/listener.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/engine/state_lock.h"

enum { LISTEN_BACKLOG = 16 };

union address {
    struct sockaddr any;
    struct sockaddr_in v4;
    struct sockaddr_in6 v6;
};

/* The configuration has checked that host is a numeric address. */
static socklen_t make_address(const struct http_config *http, union address *ret_address) {
    *ret_address = (union address){0};
    if (inet_pton(AF_INET, http->host, &ret_address->v4.sin_addr) == 1) {
        ret_address->v4.sin_family = AF_INET;
        ret_address->v4.sin_port = htons(http->port);
        return sizeof ret_address->v4;
    }
    if (inet_pton(AF_INET6, http->host, &ret_address->v6.sin6_addr) == 1) {
        ret_address->v6.sin6_family = AF_INET6;
        ret_address->v6.sin6_port = htons(http->port);
    }
    return sizeof ret_address->v6;
}

/* Another engine of this pipeline is the better reason, in the words of the lock. */
static bool refuse_busy(const struct config *config, struct error *err) {
    struct state_lock lock;
    if (!state_lock_take(&lock, config->state, config->name, err))
        return false;
    state_lock_release(&lock);
    error_set(err, ERROR_CONFIG, "%s: http.listen: %s is in use by another process", config->path,
              config->http.listen);
    return error_remedy(err, "give this pipeline another port, or end that process (`ss -ltnp` shows it)");
}

static bool refuse_listen(const struct config *config, int cause, struct error *err) {
    if (cause == EADDRINUSE)
        return refuse_busy(config, err);
    error_set(err, ERROR_CONFIG, "%s: http.listen: %s: %s", config->path, config->http.listen,
              strerror(cause));
    if (cause == EADDRNOTAVAIL)
        error_remedy(err, "give an address of this machine (`ip address` shows them); 127.0.0.1 is one");
    if (cause == EACCES)
        error_remedy(err, "give a port from 1024 on");
    return false;
}

bool listener_open(const struct config *config, int *ret_fd, struct error *err) {
    union address address;
    const socklen_t size = make_address(&config->http, &address);
    const int on = 1;
    const int fd = socket(address.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return refuse_listen(config, errno, err);
    /* Connections that have ended keep the port for a minute otherwise; one that listens keeps it anyway. */
    if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
        (address.any.sa_family == AF_INET6 &&
         setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &on, sizeof on) != 0) ||
        bind(fd, &address.any, size) != 0 || listen(fd, LISTEN_BACKLOG) != 0) {
        const int cause = errno;
        close(fd);
        return refuse_listen(config, cause, err);
    }
    *ret_fd = fd;
    return true;
}
