/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - a Unix socket, lines in, lines out.
 *
 * The path of a socket has 107 bytes at most, which a state directory may exceed. So both sides name it
 * through an open descriptor of the directory.
 */
#include "cdc/engine/control.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "cdc/base/clock.h"

enum { STEP_MS = 100, BACKLOG = 8 };

static int open_directory(const char *directory) {
    return open(directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

static bool fill_address(int directory, const char *pipeline, struct sockaddr_un *address) {
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    const int length = snprintf(address->sun_path, sizeof address->sun_path, "/proc/self/fd/%d/%s.control",
                                directory, pipeline);
    return length > 0 && (size_t) length < sizeof address->sun_path;
}

static void control_unlink(int directory, const char *pipeline) {
    char name[256];
    snprintf(name, sizeof name, "%s.control", pipeline);
    unlinkat(directory, name, 0);
}

/* ---- the engine's side ---- */

static bool listen_at(int directory, const char *pipeline, int listener) {
    struct sockaddr_un address;
    if (!fill_address(directory, pipeline, &address))
        return false;
    control_unlink(directory, pipeline);
    /* bind gives the file the mode of the socket. The process's umask belongs to all its threads. */
    return fchmod(listener, 0600) == 0 &&
           bind(listener, (const struct sockaddr *) &address, sizeof address) == 0 &&
           listen(listener, BACKLOG) == 0;
}

bool control_open(struct control *control, const char *directory, const char *pipeline, struct error *err) {
    *control = (struct control){.listener = -1, .client = -1};
    const int folder = open_directory(directory);
    const int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (folder >= 0 && listener >= 0 && listen_at(folder, pipeline, listener)) {
        close(folder);
        control->listener = listener;
        return true;
    }
    error_errno(err, "socket %s/%s.control", directory, pipeline);
    if (folder >= 0)
        close(folder);
    if (listener >= 0)
        close(listener);
    return false;
}

static void drop_client(struct control *control) {
    if (control->client >= 0)
        close(control->client);
    control->client = -1;
    control->size = 0;
    control->is_asking = false;
}

void control_close(struct control *control, const char *directory, const char *pipeline) {
    drop_client(control);
    if (control->listener < 0)
        return;
    const int folder = open_directory(directory);
    if (folder >= 0) {
        control_unlink(folder, pipeline);
        close(folder);
    }
    close(control->listener);
    control->listener = -1;
}

nfds_t control_wants(const struct control *control, struct pollfd *ret_fds) {
    if (control->listener < 0)
        return 0;
    if (control->client < 0) {
        ret_fds[0] = (struct pollfd){.fd = control->listener, .events = POLLIN};
        return 1;
    }
    ret_fds[0] = (struct pollfd){.fd = control->client, .events = POLLIN};
    return 1;
}

static void accept_client(struct control *control) {
    if (control->listener >= 0 && control->client < 0)
        control->client = accept4(control->listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
}

/* False: the client has gone, or it sent a line that is too long. */
static bool receive_bytes(struct control *control) {
    const size_t room = sizeof control->line - 1 - control->size;
    if (room == 0)
        return false;
    const ssize_t count = recv(control->client, control->line + control->size, room, 0);
    if (count > 0)
        control->size += (size_t) count;
    return count > 0 || (count < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR));
}

const char *control_next(struct control *control, bool *ret_gone) {
    *ret_gone = false;
    accept_client(control);
    if (control->client < 0)
        return NULL;
    if (!receive_bytes(control)) {
        drop_client(control);
        *ret_gone = true;
        return NULL;
    }
    char *end = memchr(control->line, '\n', control->size);
    if (end == NULL || control->is_asking)
        return NULL;
    *end = '\0';
    control->size = 0; /* a client sends the next request after the answer */
    control->is_asking = true;
    return control->line;
}

void control_answer(struct control *control, const char *format, ...) {
    char text[CONTROL_LINE_MAX];
    va_list arguments;
    if (control->client < 0)
        return;
    va_start(arguments, format);
    vsnprintf(text, sizeof text - 1, format, arguments);
    va_end(arguments);
    const size_t length = strlen(text);
    text[length] = '\n';
    control->is_asking = false;
    if (send(control->client, text, length + 1, MSG_NOSIGNAL) != (ssize_t) length + 1)
        drop_client(control);
}

/* ---- the other side ---- */

bool control_connect(const char *directory, const char *pipeline, int *ret_client, struct error *err) {
    struct sockaddr_un address;
    const int folder = open_directory(directory);
    *ret_client = -1;
    if (folder < 0)
        return errno == ENOENT ? true : error_errno(err, "state directory %s", directory);
    const int client = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const bool connected = client >= 0 && fill_address(folder, pipeline, &address) &&
                           connect(client, (const struct sockaddr *) &address, sizeof address) == 0;
    const int failure = errno;
    close(folder);
    if (connected) {
        *ret_client = client;
        return true;
    }
    if (client >= 0)
        close(client);
    if (failure == ENOENT || failure == ECONNREFUSED)
        return true;
    errno = failure;
    return error_errno(err, "socket %s/%s.control", directory, pipeline);
}

static bool no_answer(struct error *err) {
    return error_set(err, ERROR_RETRY,
                     "the running engine gives no answer; it may be retrying: `pgcdc status` shows why");
}

static bool take_answer(const char *line, char *answer, struct error *err) {
    if (strncmp(line, "error ", 6) == 0)
        return error_set(err, ERROR_REFUSE, "the running engine: %s", line + 6);
    if (strncmp(line, "ok", 2) != 0)
        return no_answer(err);
    snprintf(answer, CONTROL_LINE_MAX, "%s", line[2] == ' ' ? line + 3 : "");
    return true;
}

static bool is_stopped(const atomic_bool *stop) {
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

bool control_ask(int client, const char *request, int timeout_ms, const atomic_bool *stop,
                 char answer[CONTROL_LINE_MAX], struct error *err) {
    char line[CONTROL_LINE_MAX];
    size_t size = 0;
    const int64_t until_ms = clock_now_ms() + timeout_ms;
    const int length = snprintf(line, sizeof line, "%s\n", request);
    if (length < 0 || (size_t) length >= sizeof line ||
        send(client, line, (size_t) length, MSG_NOSIGNAL) != length)
        return no_answer(err);
    while (size < sizeof line - 1) {
        struct pollfd fd = {.fd = client, .events = POLLIN};
        if (is_stopped(stop))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (clock_now_ms() >= until_ms)
            return no_answer(err);
        if (poll(&fd, 1, STEP_MS) <= 0)
            continue;
        const ssize_t count = recv(client, line + size, sizeof line - 1 - size, 0);
        if (count <= 0)
            return no_answer(err);
        size += (size_t) count;
        line[size] = '\0';
        char *end = strchr(line, '\n');
        if (end == NULL)
            continue;
        *end = '\0';
        return take_answer(line, answer, err);
    }
    return no_answer(err);
}
