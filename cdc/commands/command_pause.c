/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_pause.c - pgcdc pause and pgcdc resume: through the running engine, or in NAME.pause while none
 * runs.
 */
#include <inttypes.h>
#include <pwd.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/control/ask.h"
#include "cdc/control/console.h"

enum { HELD_TIMEOUT_MS = 30000, HELD_STEP_MS = 200 };

/* --sink, as an index; SIZE_MAX: all. */
static bool find_pausable(const struct command_line *line, size_t *ret_sink, struct error *err) {
    const struct config *config = line->config;
    *ret_sink = SIZE_MAX;
    for (size_t i = 0; line->sink != NULL && i < config->sink_count; i++)
        if (strcmp(line->sink, config->sinks[i].sink.name) == 0)
            *ret_sink = i;
    return line->sink == NULL || *ret_sink != SIZE_MAX ||
           error_set(err, ERROR_CONFIG, "%s: no sink has the name %s (--sink)", config->path, line->sink);
}

static void make_request(const struct command_line *line, const char *what, char request[static 256]) {
    if (line->sink == NULL)
        snprintf(request, 256, "{\"%s\": true}", what);
    else
        snprintf(request, 256, "{\"%s\": \"%s\"}", what, line->sink);
}

/* ---- without an engine ---- */

static void name_caller(char *by, size_t size) {
    const struct passwd *entry = getpwuid(geteuid());
    if (entry != NULL)
        snprintf(by, size, "%.64s (pid %ld)", entry->pw_name, (long) getpid());
    else
        snprintf(by, size, "user id %lu (pid %ld)", (unsigned long) geteuid(), (long) getpid());
}

static bool change_stored(const struct command_line *line, bool pauses_it, size_t sink, struct error *err) {
    struct pauses pauses;
    struct pause_facts facts = {.since_us = clock_unix_us()};
    name_caller(facts.by, sizeof facts.by);
    return pauses_read(&pauses, line->config, err) &&
           (pauses_it ? pauses_begin(&pauses, sink, &facts, err) : pauses_end(&pauses, sink, 0, err));
}

static bool change_offline(const struct command_line *line, bool pauses_it, size_t sink, struct error *err) {
    struct state_lock lock = {.fd = -1};
    if (!console_lock(line->config, &lock, err))
        return false;
    const bool done = change_stored(line, pauses_it, sink, err);
    state_lock_release(&lock);
    if (done)
        printf(pauses_it ? "no engine runs; the next start begins paused\n"
                         : "no engine runs; the next start is not paused\n");
    return done;
}

/* ---- with one ---- */

/* *ret_held: each sink that is to pause holds. */
static bool look_at_paused(yajl_val answer, bool prints, bool *ret_held) {
    static const char *const PATH[] = {"paused", NULL}, *const SINK[] = {"sink", NULL},
                             *const AT[] = {"at", NULL}, *const BY[] = {"by", NULL},
                             *const HELD[] = {"held", NULL};
    const yajl_val list = yajl_tree_get(answer, (const char **) (uintptr_t) PATH, yajl_t_array);
    *ret_held = true;
    for (size_t i = 0; list != NULL && i < YAJL_GET_ARRAY(list)->len; i++) {
        const yajl_val item = YAJL_GET_ARRAY(list)->values[i];
        const yajl_val sink = yajl_tree_get(item, (const char **) (uintptr_t) SINK, yajl_t_string);
        const yajl_val by = yajl_tree_get(item, (const char **) (uintptr_t) BY, yajl_t_string);
        const yajl_val at = yajl_tree_get(item, (const char **) (uintptr_t) AT, yajl_t_string);
        const yajl_val held = yajl_tree_get(item, (const char **) (uintptr_t) HELD, yajl_t_any);
        if (sink == NULL || by == NULL || held == NULL)
            return false;
        *ret_held = *ret_held && YAJL_IS_TRUE(held);
        if (prints)
            printf("sink %s: %s %s, by %s\n", YAJL_GET_STRING(sink),
                   YAJL_IS_TRUE(held) ? "paused at" : "not paused yet", at != NULL ? YAJL_GET_STRING(at) : "",
                   YAJL_GET_STRING(by));
    }
    return true;
}

static bool look_at_engine(const struct command_line *line, int fd, bool prints, bool *ret_held,
                           struct error *err) {
    yajl_val answer = NULL;
    if (!console_ask(fd, "{\"state\": true}", line->stop, &answer, err))
        return false;
    const bool is_known = look_at_paused(answer, prints, ret_held);
    yajl_tree_free(answer);
    return is_known || error_set(err, ERROR_PROTOCOL, "the running engine's answer is not known here");
}

/* The pause is stored, and holds at the end of what each sink applies now. */
static bool await_held(const struct command_line *line, int fd, struct error *err) {
    const int64_t timeout_ms = line->timeout_ms > 0 ? line->timeout_ms : HELD_TIMEOUT_MS;
    const int64_t until_ms = clock_now_ms() + timeout_ms;
    bool is_held = false;
    while (!is_held && clock_now_ms() < until_ms) {
        if (!look_at_engine(line, fd, false, &is_held, err))
            return false;
        if (!is_held)
            clock_pause_ms(HELD_STEP_MS);
    }
    if (!look_at_engine(line, fd, true, &is_held, err))
        return false;
    if (is_held)
        return true;
    error_set(err, ERROR_RETRY,
              "a sink is not paused after %s: it is in a transaction, a copy or a new attempt",
              amount_duration(timeout_ms).text);
    return error_remedy(err,
                        "the pause is stored, and holds as soon as it can; ask again, or see `pgcdc status`");
}

static bool change_running(const struct command_line *line, int fd, bool pauses_it, struct error *err) {
    char request[256];
    yajl_val answer = NULL;
    bool is_held = false;
    make_request(line, pauses_it ? "pause" : "resume", request);
    if (!console_ask(fd, request, line->stop, &answer, err))
        return false;
    yajl_tree_free(answer);
    if (pauses_it)
        return await_held(line, fd, err);
    printf("resumed\n");
    return look_at_engine(line, fd, true, &is_held, err);
}

static bool change(const struct command_line *line, bool pauses_it, struct error *err) {
    size_t sink = 0;
    int fd = -1;
    if (!find_pausable(line, &sink, err) || !console_connect(line->config, &fd, err))
        return false;
    if (fd < 0)
        return change_offline(line, pauses_it, sink, err);
    const bool done = change_running(line, fd, pauses_it, err);
    close(fd);
    return done;
}

static enum exit_code change_pause(const struct command_line *line, const char *command, bool pauses_it) {
    struct error err = {0};
    if (change(line, pauses_it, &err))
        return EXIT_DONE;
    log_command_failure(command, &err);
    return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
}

static enum exit_code run_pause(const struct command_line *line) {
    return change_pause(line, "pause", true);
}

static enum exit_code run_resume(const struct command_line *line) {
    return change_pause(line, "resume", false);
}

static const struct command_use PAUSE_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "only this sink", false},
    {&OPTION_TIMEOUT, "how long to wait until each sink is paused; 30s without it", false},
    {&OPTION_REVERSE, "of the pipeline after a cutover, from the target to the source", false},
    {0},
};

const struct command command_pause = {
    .name = "pause",
    .uses = PAUSE_USES,
    .summary = "hold the sinks between two transactions, until resume",
    .help = "Each sink finishes its transaction, makes it durable and applies nothing more. It stays\n"
            "connected, and so does the source, whose slot keeps the WAL from there on. The pause is\n"
            "stored in the state directory: it ends with `pgcdc resume`, and not with a crash or a\n"
            "restart. Without a running engine it is stored for the next start.\n"
            "\n"
            "The command ends when every sink is paused; exit 1: one is not yet, and will be.\n"
            "Without a buffer, sinks that are not paused wait once they are six batches ahead.",
    .many = MANY_EACH,
    .run = run_pause,
};

static const struct command_use RESUME_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_SINK, "only this sink", false},
    {&OPTION_REVERSE, "of the pipeline after a cutover, from the target to the source", false},
    {0},
};

const struct command command_resume = {
    .name = "resume",
    .uses = RESUME_USES,
    .summary = "let sinks that are paused go on",
    .help = "Ends what `pgcdc pause` began, also while no engine runs. To resume a pipeline that is not\n"
            "paused is no error.",
    .many = MANY_EACH,
    .run = run_resume,
};
