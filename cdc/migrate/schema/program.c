/* SPDX-License-Identifier: Apache-2.0 */
/*
 * program.c - runs another program and takes what it writes.
 */
#include "cdc/migrate/schema/program.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
    STEP_MS = 200, /* how soon a stop is noticed */
    CODE_NOT_RUN = 127,
    MESSAGE_MAX = 4096,
};

struct child {
    pid_t pid;
    int output, message; /* our ends of its pipes; -1: closed */
    char text[MESSAGE_MAX];
    size_t text_size;
};

static void close_end(int *fd) {
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

/* In the new process; only functions that are safe between fork and exec. */
static void become(const struct program *program, int output, int message, pid_t parent) {
    extern char **environ;
    sigset_t none;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const int null = open("/dev/null", O_RDONLY);
    if (getppid() != parent || dup2(null, 0) < 0 || dup2(output, 1) < 0 || dup2(message, 2) < 0)
        _exit(CODE_NOT_RUN);
    execve(program->words[0], (char *const *) (uintptr_t) program->words,
           program->environment != NULL ? (char *const *) (uintptr_t) program->environment : environ);
    _exit(CODE_NOT_RUN);
}

static bool child_start(struct child *child, const struct program *program, struct error *err) {
    int output[2] = {-1, -1};
    int message[2] = {-1, -1};
    const pid_t parent = getpid();
    if (pipe2(output, O_CLOEXEC) != 0 || pipe2(message, O_CLOEXEC) != 0 || (child->pid = fork()) < 0) {
        error_errno(err, "%s", program->words[0]);
        for (int i = 0; i < 2; i++) {
            close_end(&output[i]);
            close_end(&message[i]);
        }
        return false;
    }
    if (child->pid == 0)
        become(program, output[1], message[1], parent);
    close(output[1]);
    close(message[1]);
    child->output = output[0];
    child->message = message[0];
    return true;
}

static void take_output(struct child *child, struct buffer *output) {
    char bytes[65536];
    const ssize_t count = read(child->output, bytes, sizeof bytes);
    if (count > 0)
        buffer_append(output, bytes, (size_t) count);
    else if (count == 0 || errno != EINTR)
        close_end(&child->output);
}

/* What does not fit is read and dropped, so that the program does not wait for us. */
static void take_message(struct child *child) {
    char bytes[1024];
    const ssize_t count = read(child->message, bytes, sizeof bytes);
    if (count <= 0) {
        if (count == 0 || errno != EINTR)
            close_end(&child->message);
        return;
    }
    const size_t room = sizeof child->text - 1 - child->text_size;
    const size_t size = (size_t) count < room ? (size_t) count : room;
    memcpy(child->text + child->text_size, bytes, size);
    child->text_size += size;
}

static bool child_follow(struct child *child, const struct program *program, struct buffer *output) {
    while (child->output >= 0 || child->message >= 0) {
        struct pollfd ends[] = {{child->output, POLLIN, 0}, {child->message, POLLIN, 0}};
        if (program->stop != NULL && atomic_load(program->stop))
            return false;
        if (poll(ends, 2, STEP_MS) <= 0)
            continue;
        if (ends[0].revents != 0)
            take_output(child, output);
        if (ends[1].revents != 0)
            take_message(child);
    }
    return true;
}

static int child_end(struct child *child, bool is_killed) {
    int status = 0;
    if (is_killed)
        kill(child->pid, SIGKILL);
    while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
        continue;
    close_end(&child->output);
    close_end(&child->message);
    return status;
}

static bool program_failed(const struct program *program, struct child *child, struct error *err) {
    char *line = child->text;
    line[child->text_size] = '\0';
    line[strcspn(line, "\n")] = '\0';
    return error_set(err, ERROR_CONFIG, "%s: %s", program->words[0],
                     line[0] != '\0' ? line : "it could not be run");
}

bool program_run(const struct program *program, struct buffer *output, struct error *err) {
    struct child *child = calloc(1, sizeof *child);
    if (child == NULL)
        return error_no_memory(err);
    child->output = child->message = -1;
    if (!child_start(child, program, err)) {
        free(child);
        return false;
    }
    const bool is_whole = child_follow(child, program, output);
    const int status = child_end(child, !is_whole);
    bool is_done = false;
    if (!is_whole)
        error_set(err, ERROR_STOPPED, "stopped");
    else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
        program_failed(program, child, err);
    else if (!buffer_ok(output))
        error_set(err, ERROR_SYSTEM, "%s: its output is too large", program->words[0]);
    else
        is_done = true;
    free(child);
    return is_done;
}
