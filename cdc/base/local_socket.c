/* SPDX-License-Identifier: Apache-2.0 */
/*
 * local_socket.c - "/proc/self/fd/N/NAME" is short, whatever the directory's path is.
 */
#include "cdc/base/local_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static int open_directory(const char *directory) {
    return open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool fill_address(int directory, const char *name, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    const int length =
        snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s", directory, name);
    if (length > 0 && (size_t) length < sizeof address->sun_path)
        return true;
    errno = ENAMETOOLONG;
    return false;
}

static bool listen_at(int directory, const char *name, int backlog, int listener) {
    struct sockaddr_un address;
    if (!fill_address(directory, name, &address))
        return false;
    unlinkat(directory, name, 0);
    /* bind gives the file the mode of the socket. The process's umask belongs to all its threads. */
    return fchmod(listener, 0600) == 0 &&
           bind(listener, (const struct sockaddr *) &address, sizeof address) == 0 &&
           listen(listener, backlog) == 0;
}

bool local_socket_listen(const char *directory, const char *name, int backlog, int *ret_fd,
                         struct error *err) {
    const int folder = open_directory(directory);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    const bool listens = folder >= 0 && listener >= 0 && listen_at(folder, name, backlog, listener);
    if (listens)
        *ret_fd = listener;
    else
        error_errno(err, "socket %s/%s", directory, name);
    if (folder >= 0)
        close(folder);
    if (!listens && listener >= 0)
        close(listener);
    return listens;
}

int local_socket_accept(int listener) {
    return accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

bool local_peer_is_trusted(int client, struct local_peer *ret_peer) {
    struct ucred credentials;
    socklen_t size = sizeof credentials;
    if (getsockopt(client, SOL_SOCKET, SO_PEERCRED, &credentials, &size) != 0)
        return false;
    *ret_peer = (struct local_peer){.pid = credentials.pid, .uid = credentials.uid};
    return credentials.uid == 0 || credentials.uid == geteuid();
}

bool local_socket_connect(const char *directory, const char *name, int *ret_fd, struct error *err) {
    struct sockaddr_un address;
    const int folder = open_directory(directory);
    *ret_fd = -1;
    if (folder < 0)
        return errno == ENOENT ? true : error_errno(err, "state directory %s", directory);
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = client >= 0 && fill_address(folder, name, &address) &&
                           connect(client, (const struct sockaddr *) &address, sizeof address) == 0;
    const int failure = errno;
    close(folder);
    if (connected) {
        *ret_fd = client;
        return true;
    }
    if (client >= 0)
        close(client);
    if (failure == ENOENT || failure == ECONNREFUSED)
        return true;
    errno = failure;
    return error_errno(err, "socket %s/%s", directory, name);
}

void local_socket_remove(const char *directory, const char *name) {
    const int folder = open_directory(directory);
    if (folder < 0)
        return;
    unlinkat(folder, name, 0);
    close(folder);
}
