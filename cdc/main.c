/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command line, the signals, and one command run.
 *
 * An option is taken by a command when the command's usage line names it, so help and behaviour cannot differ.
 */
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/command.h"

/* The one variable of the process: set by the signal handler, read by everybody. */
static atomic_bool stop;

struct invocation {
    const struct command *command;
    struct command_line line;
    enum log_level log_level;
};

struct option {
    const char *name;
    bool has_value;
    bool is_general; /* taken by every command */
    bool (*take)(struct invocation *invocation, const char *value);
    const char *expected; /* of the value */
};

static bool take_config(struct invocation *invocation, const char *value) {
    invocation->line.config_path = value;
    return value[0] != '\0';
}

static bool take_json(struct invocation *invocation, const char *value) {
    (void) value;
    invocation->line.json = true;
    return true;
}

static bool take_sql(struct invocation *invocation, const char *value) {
    invocation->line.sql_side = value;
    return strcmp(value, "source") == 0 || strcmp(value, "target") == 0;
}

static bool take_until(struct invocation *invocation, const char *value) {
    invocation->line.until_caught_up = strcmp(value, "caught-up") == 0;
    invocation->line.until_lsn = 0;
    return invocation->line.until_caught_up ||
           (lsn_parse(value, &invocation->line.until_lsn) && invocation->line.until_lsn != 0);
}

static bool take_verbose(struct invocation *invocation, const char *value) {
    (void) value;
    invocation->log_level = LOG_LEVEL_DEBUG;
    return true;
}

static const struct option OPTIONS[] = {
    {.name = "-c", .has_value = true, .take = take_config, .expected = "the path of a configuration file"},
    {.name = "--json", .take = take_json},
    {.name = "--sql", .has_value = true, .take = take_sql, .expected = "source or target"},
    {.name = "--until",
     .has_value = true,
     .take = take_until,
     .expected = "caught-up or an LSN like 16/B374D848"},
    {.name = "--verbose", .is_general = true, .take = take_verbose},
    {.name = "--debug", .is_general = true, .take = take_verbose},
};

static const struct option *find_option(const char *name, size_t length) {
    for (size_t i = 0; i < sizeof OPTIONS / sizeof OPTIONS[0]; i++)
        if (strlen(OPTIONS[i].name) == length && memcmp(OPTIONS[i].name, name, length) == 0)
            return &OPTIONS[i];
    return NULL;
}

/* One line and where to read on; a usage error. */
PRINTF_LIKE(2, 3)
static enum exit_code complain(const struct invocation *invocation, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (invocation->command == NULL)
        fprintf(stderr, "pgcdc: %s; see: pgcdc help\n", text);
    else
        fprintf(stderr, "pgcdc %s: %s; see: pgcdc help %s\n", invocation->command->name, text,
                invocation->command->name);
    return EXIT_USAGE;
}

/* "-c FILE", "--until=LSN": takes one option, and its value from itself or from the next argument. */
static enum exit_code parse_option(struct invocation *invocation, char **arguments, int *at) {
    const char *argument = arguments[*at];
    size_t length = strcspn(argument, "=");
    const struct option *option = find_option(argument, length);
    const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
    if (option == NULL || !(option->is_general || command_takes(invocation->command, option->name)))
        return complain(invocation, "unknown option %s", argument);
    if (!option->has_value && value != NULL)
        return complain(invocation, "%s takes no value", option->name);
    if (option->has_value && value == NULL)
        value = arguments[*at + 1] != NULL ? arguments[++*at] : NULL;
    if (option->has_value && value == NULL)
        return complain(invocation, "%s needs a value", option->name);
    return option->take(invocation, value)
               ? EXIT_DONE
               : complain(invocation, "%s: expected %s", option->name, option->expected);
}

static enum exit_code parse_argument(struct invocation *invocation, const char *argument) {
    if (invocation->line.argument != NULL || !command_takes_argument(invocation->command))
        return complain(invocation, "unexpected argument %s", argument);
    invocation->line.argument = argument;
    return EXIT_DONE;
}

static enum exit_code parse_rest(struct invocation *invocation, char **arguments) {
    enum exit_code code = EXIT_DONE;
    for (int at = 0; arguments[at] != NULL && code == EXIT_DONE; at++) {
        if (strcmp(arguments[at], "--help") == 0 || strcmp(arguments[at], "-h") == 0) {
            invocation->line = (struct command_line){.argument = invocation->command->name};
            invocation->command = &command_help;
            return EXIT_DONE;
        }
        code = arguments[at][0] == '-' && arguments[at][1] != '\0'
                   ? parse_option(invocation, arguments, &at)
                   : parse_argument(invocation, arguments[at]);
    }
    if (code == EXIT_DONE && invocation->command->needs_config && invocation->line.config_path == NULL)
        code = complain(invocation, "-c FILE is required");
    return code;
}

static enum exit_code parse(struct invocation *invocation, char **arguments) {
    if (arguments[0] == NULL)
        return complain(invocation, "a command is required");
    invocation->command = command_find(arguments[0]);
    if (invocation->command == NULL)
        return complain(invocation, "unknown command %s", arguments[0]);
    return parse_rest(invocation, arguments + 1);
}

/* The first signal asks for the orderly stop, the second does not wait for it. */
static void handle_stop(int signal_number) {
    (void) signal_number;
    if (atomic_exchange(&stop, true))
        _exit(EXIT_FAILED);
}

/* A reader or a disk that is gone shall be an error of write, not the end of the process. */
static void set_signals(void) {
    struct sigaction ignore = {.sa_handler = SIG_IGN};
    struct sigaction handle = {.sa_handler = handle_stop, .sa_flags = SA_RESTART};
    sigaction(SIGPIPE, &ignore, NULL);
    sigaction(SIGXFSZ, &ignore, NULL);
    sigaction(SIGTERM, &handle, NULL);
    sigaction(SIGINT, &handle, NULL);
}

static enum exit_code run_with_config(struct invocation *invocation) {
    struct error err = {0};
    if (!config_read(invocation->line.config_path, &invocation->line.config, &err)) {
        fprintf(stderr, "pgcdc: %s\n", error_line(&err).text);
        return exit_code_of(&err);
    }
    log_init(invocation->log_level, invocation->line.config->name);
    enum exit_code code = invocation->command->run(&invocation->line);
    log_init(invocation->log_level, NULL);
    config_free(invocation->line.config);
    return code;
}

/* What was printed and did not arrive is a failure, except that nobody reads on. */
static enum exit_code check_output(enum exit_code code) {
    bool failed = fflush(stdout) != 0 || ferror(stdout) != 0;
    if (!failed || code != EXIT_DONE)
        return code;
    fprintf(stderr, "pgcdc: writing to standard output did not succeed\n");
    return EXIT_FAILED;
}

int main(int argument_count, char **arguments) {
    struct invocation invocation = {.line = {.stop = &stop}, .log_level = LOG_LEVEL_INFO};
    enum exit_code code = parse(&invocation, arguments + (argument_count > 0));
    if (code != EXIT_DONE)
        return code;
    set_signals();
    log_init(invocation.log_level, NULL);
    code = invocation.line.config_path != NULL ? run_with_config(&invocation)
                                               : invocation.command->run(&invocation.line);
    return check_output(code);
}
