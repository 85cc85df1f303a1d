/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_hook.c - the operator's command that points the applications to the other side.
 *
 * It has a group of its own, which is killed when the time is over. Its environment tells where to, and has
 * no password.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/migrate/cutover/cutover_parts.h"

enum { STEP_MS = 10, VARIABLES = 5, TEXT_MAX = 512 };

extern char **environ;

struct hook_environment {
    char texts[VARIABLES][TEXT_MAX];
    char **pointers; /* owned; ends with NULL */
};

static bool fill_environment(const struct cutover *cutover, struct hook_environment *variables,
                             struct error *err) {
    const PGconn *to = cutover->to.conn;
    size_t count = 0;
    while (environ[count] != NULL)
        count++;
    variables->pointers = calloc(count + VARIABLES + 1, sizeof *variables->pointers);
    if (variables->pointers == NULL)
        return error_no_memory(err);
    snprintf(variables->texts[0], TEXT_MAX, "PGCDC_PIPELINE=%s", cutover->config->name);
    snprintf(variables->texts[1], TEXT_MAX, "PGCDC_DIRECTION=%s", cutover->step);
    snprintf(variables->texts[2], TEXT_MAX, "PGCDC_HOST=%s", PQhost(to));
    snprintf(variables->texts[3], TEXT_MAX, "PGCDC_PORT=%s", PQport(to));
    snprintf(variables->texts[4], TEXT_MAX, "PGCDC_DATABASE=%s", PQdb(to));
    for (size_t i = 0; i < VARIABLES; i++)
        variables->pointers[count + i] = variables->texts[i];
    memcpy(variables->pointers, environ, count * sizeof *environ);
    return true;
}

/* Nothing but calls that are safe after a fork of a program with threads. */
static void become_hook(const char *command, char **variables) {
    char *const arguments[] = {(char[]){"sh"}, (char[]){"-c"}, (char *) (uintptr_t) command, NULL};
    const struct sigaction usual = {.sa_handler = SIG_DFL};
    sigaction(SIGPIPE, &usual, NULL);
    sigaction(SIGHUP, &usual, NULL);
    setpgid(0, 0);
    dup2(STDERR_FILENO, STDOUT_FILENO);
    execve("/bin/sh", arguments, variables);
    _exit(127);
}

/* *ret_status as of waitpid. False: the time was over, and the group is killed. */
static bool wait_for_hook(pid_t pid, int64_t until_ms, const atomic_bool *stop, int *ret_status) {
    while (waitpid(pid, ret_status, WNOHANG) == 0) {
        if (clock_now_ms() >= until_ms || atomic_load(stop)) {
            kill(-pid, SIGKILL);
            kill(pid, SIGKILL);
            waitpid(pid, ret_status, 0);
            return false;
        }
        clock_pause_ms(STEP_MS);
    }
    return true;
}

static bool judge_status(int status, struct error *err) {
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return true;
    if (WIFEXITED(status))
        error_set(err, ERROR_CONFIG, "cutover.on_flip ended with exit code %d", WEXITSTATUS(status));
    else
        error_set(err, ERROR_CONFIG, "cutover.on_flip was ended by signal %d", WTERMSIG(status));
    return error_remedy(err, "correct the command; its output is above");
}

bool cutover_run_hook(struct cutover *cutover, int timeout_ms, struct error *err) {
    const char *command = cutover->config->cutover.on_flip;
    struct hook_environment variables = {0};
    int status = 0;
    if (command == NULL)
        return true;
    if (!fill_environment(cutover, &variables, err))
        return false;
    const int64_t until_ms = clock_now_ms() + timeout_ms;
    log_line(LOG_HOOK_STARTED, "running cutover.on_flip, for %d ms at most", timeout_ms);
    const pid_t pid = fork();
    if (pid == 0)
        become_hook(command, variables.pointers);
    free(variables.pointers);
    if (pid < 0)
        return error_errno(err, "cutover.on_flip");
    if (!wait_for_hook(pid, until_ms, &cutover->stop, &status))
        return error_set(err, ERROR_CONFIG, "cutover.on_flip did not end in time, and was killed") ||
               error_remedy(err, "let it end sooner, or raise cutover.outage_max");
    return judge_status(status, err);
}
