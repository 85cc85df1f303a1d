/* SPDX-License-Identifier: Apache-2.0 */
/*
 * notify.c - a connected socket, so that each message is one send.
 */
#include "cdc/service/notify.h"

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

static bool notify_address(const char *path, struct sockaddr_un *address, socklen_t *ret_size,
                           struct error *err) {
    const size_t length = strlen(path);
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    if ((path[0] != '/' && path[0] != '@') || length < 2 || length >= sizeof address->sun_path)
        return error_set(err, ERROR_CONFIG, "NOTIFY_SOCKET: expected a path, or a name that begins with @");
    memcpy(address->sun_path, path, length);
    if (path[0] == '@')
        address->sun_path[0] = '\0';
    /* An abstract name ends where its size says, a path with a NUL. */
    *ret_size = (socklen_t) (offsetof(struct sockaddr_un, sun_path) + length + (path[0] == '/'));
    return true;
}

bool notify_open(struct notify *notify, const char *path, struct error *err) {
    struct sockaddr_un address;
    socklen_t size = 0;
    notify->fd = -1;
    if (!notify_address(path, &address, &size, err))
        return false;
    notify->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (notify->fd >= 0 && connect(notify->fd, (const struct sockaddr *) &address, size) == 0)
        return true;
    error_errno(err, "NOTIFY_SOCKET");
    notify_close(notify);
    return false;
}

bool notify_send(const struct notify *notify, const char *message, struct error *err) {
    const size_t size = strlen(message);
    return send(notify->fd, message, size, MSG_NOSIGNAL) == (ssize_t) size ||
           error_errno(err, "NOTIFY_SOCKET");
}

void notify_close(struct notify *notify) {
    if (notify->fd >= 0)
        close(notify->fd);
    notify->fd = -1;
}
