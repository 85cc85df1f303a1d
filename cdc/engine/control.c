/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.c - lines in, lines out.
 */
#include "cdc/engine/control.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/local_socket.h"

enum { STEP_MS = 100, BACKLOG = 8 };

struct socket_name {
    char text[256];
};

static struct socket_name control_name(const char *pipeline) {
    struct socket_name name;
    snprintf(name.text, sizeof name.text, "%s.control", pipeline);
    return name;
}

/* ---- the engine's side ---- */

bool control_open(struct control *control, const char *directory, const char *pipeline, struct error *err) {
    *control = (struct control){.listener = -1, .client = -1};
    return local_socket_listen(directory, control_name(pipeline).text, BACKLOG, &control->listener, err);
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
    local_socket_remove(directory, control_name(pipeline).text);
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
    struct local_peer peer;
    if (control->listener < 0 || control->client >= 0)
        return;
    control->client = local_socket_accept(control->listener);
    if (control->client >= 0 && !local_peer_is_trusted(control->client, &peer))
        drop_client(control);
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
    return local_socket_connect(directory, control_name(pipeline).text, ret_client, err);
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
