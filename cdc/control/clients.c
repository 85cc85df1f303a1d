/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clients.c - one poll over all of them.
 */
#include "cdc/control/clients.h"

#include <errno.h>
#include <poll.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/local_socket.h"
#include "cdc/base/log.h"
#include "cdc/control/obey.h"
#include "cdc/engine/request.h"

enum {
    CLIENTS_MAX = 16,
    CLIENTS_BACKLOG = 64,
    SILENT_MAX_MS = 10000,
    ANSWER_MAX = 65536,
    NAME_BYTES_MAX = 1024, /* of the password database's entry */
};

struct client {
    int fd; /* -1: this place is free */
    int64_t heard_ms;
    char by[PAUSE_BY_MAX];
    char line[REQUEST_BYTES_MAX];
    size_t size;
};

struct clients {
    struct console *console;
    int listener;
    struct client all[CLIENTS_MAX];
};

static void socket_name(const struct console *console, char name[static 128]) {
    snprintf(name, 128, "%s.sock", console->config->name);
}

static void client_drop(struct client *client) {
    if (client->fd >= 0)
        close(client->fd);
    client->fd = -1;
}

/* ---- opening and closing ---- */

bool clients_open(struct console *console, struct clients **ret_clients, struct error *err) {
    char name[128];
    struct clients *clients = calloc(1, sizeof *clients);
    if (clients == NULL)
        return error_no_memory(err);
    clients->console = console;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        clients->all[i].fd = -1;
    socket_name(console, name);
    if (!local_socket_listen(console->config->state, name, CLIENTS_BACKLOG, &clients->listener, err)) {
        free(clients);
        return false;
    }
    *ret_clients = clients;
    return true;
}

void clients_close(struct clients *clients) {
    char name[128];
    if (clients == NULL)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        client_drop(&clients->all[i]);
    socket_name(clients->console, name);
    local_socket_remove(clients->console->config->state, name);
    close(clients->listener);
    free(clients);
}

/* ---- a client ---- */

static void name_peer(const struct local_peer *peer, char *by, size_t size) {
    char bytes[NAME_BYTES_MAX];
    struct passwd entry, *found = NULL;
    if (getpwuid_r(peer->uid, &entry, bytes, sizeof bytes, &found) == 0 && found != NULL)
        snprintf(by, size, "%.64s (pid %ld)", found->pw_name, (long) peer->pid);
    else
        snprintf(by, size, "user id %lu (pid %ld)", (unsigned long) peer->uid, (long) peer->pid);
}

/* What does not fit into the socket at once is for a client that does not read. */
static bool client_send(const struct client *client, struct slice bytes) {
    return send(client->fd, bytes.data, bytes.size, MSG_NOSIGNAL | MSG_DONTWAIT) == (ssize_t) bytes.size;
}

static struct client *free_place(struct clients *clients) {
    struct client *oldest = &clients->all[0];
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &clients->all[i];
        if (client->fd < 0)
            return client;
        if (client->heard_ms < oldest->heard_ms)
            oldest = client;
    }
    client_drop(oldest);
    return oldest;
}

static bool client_accept(struct clients *clients) {
    static const char REFUSED[] =
        "{\"ok\": false, \"error\": \"only root and the engine's own user may ask\", "
        "\"remedy\": \"\"}\n";
    struct local_peer peer = {0};
    const int fd = local_socket_accept(clients->listener);
    if (fd < 0)
        return false;
    if (!local_peer_is_trusted(fd, &peer)) {
        const struct client refused = {.fd = fd};
        log_line(LOG_CLIENT_REFUSED,
                 "user id %lu (pid %ld) has connected to the control socket and was refused",
                 (unsigned long) peer.uid, (long) peer.pid);
        (void) client_send(&refused, slice_of(REFUSED));
        close(fd);
        return true;
    }
    struct client *client = free_place(clients);
    client->fd = fd;
    client->size = 0;
    client->heard_ms = clock_now_ms();
    name_peer(&peer, client->by, sizeof client->by);
    return true;
}

/* False: it has sent a line that is too long, it does not read, or it has gone. */
static bool client_obey_lines(struct clients *clients, struct client *client) {
    char *end = NULL;
    while ((end = memchr(client->line, '\n', client->size)) != NULL) {
        struct buffer answer AUTO(buffer_release) = {.bytes_max = ANSWER_MAX};
        const size_t length = (size_t) (end - client->line);
        console_obey(clients->console, (struct slice){client->line, length}, client->by, &answer);
        client->size -= length + 1;
        memmove(client->line, end + 1, client->size);
        client->heard_ms = clock_now_ms();
        if (!buffer_ok(&answer) || !client_send(client, buffer_slice(&answer)))
            return false;
    }
    return client->size < sizeof client->line;
}

static bool client_read(struct clients *clients, struct client *client) {
    const ssize_t count =
        recv(client->fd, client->line + client->size, sizeof client->line - client->size, MSG_DONTWAIT);
    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    client->size += (size_t) count;
    return count > 0 && client_obey_lines(clients, client);
}

/* ---- all of them ---- */

static void drop_silent(struct clients *clients) {
    const int64_t now_ms = clock_now_ms();
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        if (clients->all[i].fd >= 0 && now_ms - clients->all[i].heard_ms > SILENT_MAX_MS)
            client_drop(&clients->all[i]);
}

void clients_serve(struct clients *clients, int timeout_ms) {
    struct pollfd fds[CLIENTS_MAX + 1];
    for (size_t i = 0; i < CLIENTS_MAX; i++)
        fds[i] = (struct pollfd){.fd = clients->all[i].fd, .events = POLLIN};
    fds[CLIENTS_MAX] = (struct pollfd){.fd = clients->listener, .events = POLLIN};
    drop_silent(clients);
    if (poll(fds, CLIENTS_MAX + 1, timeout_ms) <= 0)
        return;
    for (size_t i = 0; i < CLIENTS_MAX; i++) {
        struct client *client = &clients->all[i];
        if (client->fd >= 0 && client->fd == fds[i].fd && fds[i].revents != 0 &&
            !client_read(clients, client))
            client_drop(client);
    }
    /* A few at a time, so that a crowd does not keep those who are here from being heard. */
    for (int i = 0; fds[CLIENTS_MAX].revents != 0 && i < CLIENTS_MAX / 2; i++)
        if (!client_accept(clients))
            break;
}
