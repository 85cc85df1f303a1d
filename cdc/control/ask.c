/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ask.c - one line out, one line in, with a deadline.
 */
#include "cdc/control/ask.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/local_socket.h"

enum { ASK_STEP_MS = 100, ASK_TIMEOUT_MS = 30000, ASK_BYTES_MAX = 131072 };

bool console_connect(const struct config *config, int *ret_fd, struct error *err) {
    char name[128];
    snprintf(name, sizeof name, "%s.sock", config->name);
    return local_socket_connect(config->state, name, ret_fd, err);
}

static bool ask_failed(struct error *err) {
    error_set(err, ERROR_SYSTEM, "the running engine gave no answer; it may have ended");
    return error_remedy(err, "`pgcdc status` shows whether it runs; then ask again");
}

static bool is_asked_to_stop(const atomic_bool *stop) {
    return stop != NULL && atomic_load_explicit(stop, memory_order_relaxed);
}

static bool receive_line(int fd, const atomic_bool *stop, struct buffer *line, struct error *err) {
    const int64_t until_ms = clock_now_ms() + ASK_TIMEOUT_MS;
    while (line->size == 0 || line->data[line->size - 1] != '\n') {
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        if (is_asked_to_stop(stop))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (clock_now_ms() >= until_ms || !buffer_reserve(line, 1024))
            return ask_failed(err);
        if (poll(&polled, 1, ASK_STEP_MS) <= 0)
            continue;
        const ssize_t count = recv(fd, line->data + line->size, line->capacity - line->size, 0);
        if (count <= 0)
            return ask_failed(err);
        line->size += (size_t) count;
    }
    return true;
}

static const char *answer_text(yajl_val answer, const char *key) {
    const char *path[] = {key, NULL};
    const yajl_val value = yajl_tree_get(answer, path, yajl_t_string);
    return value != NULL ? YAJL_GET_STRING(value) : "";
}

/* The engine has the error's kind as the exit code that a command shall have. */
static enum error_kind answer_kind(yajl_val answer) {
    static const char *const PATH[] = {"exit_code", NULL};
    const yajl_val code = yajl_tree_get(answer, (const char **) (uintptr_t) PATH, yajl_t_number);
    if (code == NULL || !YAJL_IS_INTEGER(code))
        return ERROR_SYSTEM;
    return YAJL_GET_INTEGER(code) == 2   ? ERROR_CONFIG
           : YAJL_GET_INTEGER(code) == 3 ? ERROR_REFUSE
                                         : ERROR_SYSTEM;
}

static bool take_answer(const char *line, yajl_val *ret_answer, struct error *err) {
    static const char *const PATH[] = {"ok", NULL};
    char problem[64];
    yajl_val answer = yajl_tree_parse(line, problem, sizeof problem);
    const yajl_val ok =
        answer != NULL ? yajl_tree_get(answer, (const char **) (uintptr_t) PATH, yajl_t_any) : NULL;
    if (ok != NULL && YAJL_IS_TRUE(ok)) {
        *ret_answer = answer;
        return true;
    }
    if (ok == NULL) {
        yajl_tree_free(answer);
        return ask_failed(err);
    }
    error_set(err, answer_kind(answer), "%s", answer_text(answer, "error"));
    error_remedy(err, "%s", answer_text(answer, "remedy"));
    yajl_tree_free(answer);
    return false;
}

bool console_ask(int fd, const char *request, const atomic_bool *stop, yajl_val *ret_answer,
                 struct error *err) {
    struct buffer line AUTO(buffer_release) = {.bytes_max = ASK_BYTES_MAX};
    struct buffer out AUTO(buffer_release) = {.bytes_max = ASK_BYTES_MAX};
    buffer_printf(&out, "%s\n", request);
    if (!buffer_ok(&out) || send(fd, out.data, out.size, MSG_NOSIGNAL) != (ssize_t) out.size)
        return ask_failed(err);
    if (!receive_line(fd, stop, &line, err))
        return false;
    const char *text = buffer_text(&line);
    return text != NULL ? take_answer(text, ret_answer, err) : error_no_memory(err);
}
