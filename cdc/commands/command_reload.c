/* SPDX-License-Identifier: Apache-2.0 */
/*
 * command_reload.c - pgcdc reload and pgcdc log-level: requests to the running engine.
 */
#include <stdio.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/command.h"
#include "cdc/control/ask.h"

static bool ask_running(const struct command_line *line, const char *request, yajl_val *ret_answer,
                        struct error *err) {
    int fd = -1;
    if (!console_connect(line->config, &fd, err))
        return false;
    if (fd < 0) {
        error_set(err, ERROR_SYSTEM, "no engine runs with state directory %s", line->config->state);
        return error_remedy(err, "start it with `pgcdc run`, on this machine");
    }
    const bool is_answered = console_ask(fd, request, line->stop, ret_answer, err);
    close(fd);
    return is_answered;
}

static enum exit_code ask_and_print(const struct command_line *line, const char *command,
                                    const char *request) {
    static const char *const WORDS[] = {"words", NULL}, *const LEVEL[] = {"log_level", NULL};
    struct error err = {0};
    yajl_val answer = NULL;
    if (!ask_running(line, request, &answer, &err)) {
        log_command_failure(command, &err);
        return err.kind == ERROR_STOPPED ? EXIT_FAILED : exit_code_of(&err);
    }
    const yajl_val words = yajl_tree_get(answer, (const char **) (uintptr_t) WORDS, yajl_t_string);
    const yajl_val level = yajl_tree_get(answer, (const char **) (uintptr_t) LEVEL, yajl_t_string);
    if (words != NULL && YAJL_GET_STRING(words)[0] != '\0')
        printf("%s\n", YAJL_GET_STRING(words));
    else if (level != NULL)
        printf("the log's level is %s\n", YAJL_GET_STRING(level));
    yajl_tree_free(answer);
    return EXIT_DONE;
}

static enum exit_code run_reload(const struct command_line *line) {
    return ask_and_print(line, "reload", "{\"reload\": true}");
}

static enum exit_code run_log_level(const struct command_line *line) {
    char request[64];
    enum log_level level;
    if (!log_level_parse(line->argument, &level)) {
        log_command(LOG_USAGE, "log-level", "expected error, warning, info or debug");
        return EXIT_USAGE;
    }
    snprintf(request, sizeof request, "{\"log_level\": \"%s\"}", log_level_name(level));
    return ask_and_print(line, "log-level", request);
}

static const struct command_use CONTROL_USES[] = {
    {&OPTION_CONFIG, NULL, true},
    {&OPTION_REVERSE, "of the pipeline after a cutover, from the target to the source", false},
    {0},
};

const struct command command_reload = {
    .name = "reload",
    .uses = CONTROL_USES,
    .summary = "give the running engine the changed configuration",
    .help = "The engine reads the whole file and checks it. Keys that can change while it runs do; the\n"
            "manual's table says which. If another key differs, nothing is changed, and exit 3 names\n"
            "each such key with both values: they need a restart. A changed key of a sink makes the\n"
            "engine end its attempt in order and open its connections again, which takes moments.\n"
            "SIGHUP does the same, and the log has the result.",
    .many = MANY_EACH,
    .run = run_reload,
};

const struct command command_log_level = {
    .name = "log-level",
    .uses = CONTROL_USES,
    .argument = "error|warning|info|debug",
    .summary = "change how much the running engine logs",
    .help = "Until it ends. debug is what --verbose logs.",
    .many = MANY_EACH,
    .run = run_log_level,
};
