/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command line, the signals, and one command run.
 *
 * An option is taken by a command when the command's usage line names it, so help and behaviour cannot differ.
 */
#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/command.h"

enum { KEYS_MAX = 10000 }; /* of a table, in memory until they are printed */

#define DURATION_EXPECTED "a duration like 30s, 5m or 2h"

/* The variables of the process: stop is set by the signal handlers and read by everybody; asked: a signal set it. */
static atomic_bool stop;
static atomic_bool asked;

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
    return strcmp(value, "source") == 0 || strcmp(value, "target") == 0 ||
           (strncmp(value, "target:", 7) == 0 && value[7] != '\0');
}

static bool take_until(struct invocation *invocation, const char *value) {
    invocation->line.until_caught_up = strcmp(value, "caught-up") == 0;
    invocation->line.until_lsn = 0;
    return invocation->line.until_caught_up ||
           (lsn_parse(value, &invocation->line.until_lsn) && invocation->line.until_lsn != 0);
}

/* "500ms", "30s", "5m", "2h", "1d"; a number alone is seconds. 0: it is none of these. */
static int64_t parse_duration(const char *text) {
    static const struct {
        const char *name;
        int64_t ms;
    } UNITS[] = {{"ms", 1},      {"s", 1000},    {"", 1000},     {"m", 60000},
                 {"min", 60000}, {"h", 3600000}, {"d", 86400000}};
    char *end = NULL;
    errno = 0;
    long number = strtol(text, &end, 10);
    if (end == text || text[0] < '0' || text[0] > '9' || errno != 0 || number <= 0 || number > 1000000000)
        return 0;
    for (size_t i = 0; i < sizeof UNITS / sizeof UNITS[0]; i++)
        if (strcmp(end, UNITS[i].name) == 0)
            return number * UNITS[i].ms;
    return 0;
}

static bool take_timeout(struct invocation *invocation, const char *value) {
    invocation->line.timeout_ms = parse_duration(value);
    return invocation->line.timeout_ms != 0;
}

static bool take_retry_for(struct invocation *invocation, const char *value) {
    invocation->line.retry_for_ms = parse_duration(value);
    return invocation->line.retry_for_ms != 0;
}

static bool take_keys(struct invocation *invocation, const char *value) {
    char *end = NULL;
    errno = 0;
    const unsigned long number = strtoul(value, &end, 10);
    invocation->line.keys_max = number;
    return value[0] >= '0' && value[0] <= '9' && *end == '\0' && errno == 0 && number > 0 &&
           number <= KEYS_MAX;
}

static bool take_take_over(struct invocation *invocation, const char *value) {
    (void) value;
    invocation->line.take_over = true;
    return true;
}

static bool take_verbose(struct invocation *invocation, const char *value) {
    (void) value;
    invocation->log_level = LOG_LEVEL_DEBUG;
    return true;
}

static const struct option OPTIONS[] = {
    {.name = "-c", .has_value = true, .take = take_config, .expected = "the path of a configuration file"},
    {.name = "--json", .take = take_json},
    {.name = "--sql", .has_value = true, .take = take_sql, .expected = "source, target or target:SINK"},
    {.name = "--until",
     .has_value = true,
     .take = take_until,
     .expected = "caught-up or an LSN like 16/B374D848"},
    {.name = "--timeout", .has_value = true, .take = take_timeout, .expected = DURATION_EXPECTED},
    {.name = "--retry-for", .has_value = true, .take = take_retry_for, .expected = DURATION_EXPECTED},
    {.name = "--keys", .has_value = true, .take = take_keys, .expected = "a number from 1 to 10000"},
    {.name = "--take-over", .take = take_take_over},
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
    if (atomic_exchange(&asked, true))
        _exit(EXIT_FAILED);
    atomic_store(&stop, true);
}

/* The end of --timeout. A signal that comes after it is the first one. */
static void handle_alarm(int signal_number) {
    (void) signal_number;
    atomic_store(&stop, true);
}

static void ignore_signals(void) {
    static const int SIGNALS[] = {SIGPIPE, SIGXFSZ, SIGHUP, SIGUSR1, SIGUSR2};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++)
        sigaction(SIGNALS[i], &ignore, NULL);
}

/*
 * A reader or a disk that is gone shall be an error of write, not the end of the process, and neither shall a terminal that
 * closes, or a signal that other programs take for "read your files again".
 */
static void set_signals(void) {
    struct sigaction alarm = {.sa_handler = handle_alarm, .sa_flags = SA_RESTART};
    struct sigaction handle = {.sa_handler = handle_stop, .sa_flags = SA_RESTART};
    ignore_signals();
    sigaction(SIGALRM, &alarm, NULL);
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
