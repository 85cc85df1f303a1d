/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - parses the command line, sets the signal handlers and runs one command.
 *
 * A command accepts the options of its own table; its help is made from the same table.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/log.h"
#include "cdc/base/nearest.h"
#include "cdc/command.h"
#include "cdc/databases.h"

/*
 * The only variables of the process. The signal handlers set stop, and every thread reads it. asked: a signal
 * set stop.
 */
static atomic_bool stop;
static atomic_bool asked;
static atomic_bool
    hangup; /* SIGHUP: `run` reads the configuration again, and every other command ignores it */

struct invocation {
    const struct command *command;
    struct command_line line;
};

/* Prints a usage error in one line, with the help command to read next. */
PRINTF_LIKE(2, 3)
static enum exit_code complain(const struct invocation *invocation, const char *format, ...) {
    char text[256];
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    const char *name = invocation->command != NULL ? invocation->command->name : NULL;
    log_command(LOG_USAGE, name, "%s; see: pgcdc help%s%s", text, name != NULL ? " " : "",
                name != NULL ? name : "");
    return EXIT_USAGE;
}

static enum exit_code complain_option(const struct invocation *invocation, const char *argument,
                                      size_t length) {
    char name[64];
    const char *names[32];
    size_t count = 0;
    const struct command_use *use = invocation->command->uses;
    for (; use != NULL && use->option != NULL && count < sizeof names / sizeof *names; use++)
        names[count++] = use->option->name;
    snprintf(name, sizeof name, "%.*s", (int) length, argument);
    const char *meant = nearest(name, names, count);
    return meant != NULL ? complain(invocation, "unknown option %s, did you mean %s?", argument, meant)
                         : complain(invocation, "unknown option %s", argument);
}

/*
 * Every command accepts --log and --verbose, whose former name is --debug. Each that reads a file accepts
 * --database.
 */
static const struct command_option *find_option(const struct invocation *invocation, const char *argument,
                                                size_t length) {
    const struct command_use *use = command_find_use(invocation->command, argument, length);
    if (strcmp(argument, OPTION_VERBOSE.name) == 0 || strcmp(argument, "--debug") == 0)
        return &OPTION_VERBOSE;
    if (strncmp(argument, OPTION_LOG.name, length) == 0 && length == strlen(OPTION_LOG.name))
        return &OPTION_LOG;
    if (strncmp(argument, OPTION_DATABASE.name, length) == 0 && length == strlen(OPTION_DATABASE.name) &&
        command_needs_config(invocation->command))
        return &OPTION_DATABASE;
    return use != NULL ? use->option : NULL;
}

/* "-c FILE", "--until=LSN": parses one option; its value follows = or is the next argument. */
static enum exit_code parse_option(struct invocation *invocation, char **arguments, int *at) {
    const char *argument = arguments[*at];
    size_t length = strcspn(argument, "=");
    const struct command_option *option = find_option(invocation, argument, length);
    const char *value = argument[length] == '=' ? argument + length + 1 : NULL;
    if (option == NULL)
        return complain_option(invocation, argument, length);
    if (option->value == NULL && value != NULL)
        return complain(invocation, "%s takes no value", option->name);
    if (option->value != NULL && value == NULL)
        value = arguments[*at + 1] != NULL ? arguments[++*at] : NULL;
    if (option->value != NULL && value == NULL)
        return complain(invocation, "%s needs a value", option->name);
    return option->take(&invocation->line, value)
               ? EXIT_DONE
               : complain(invocation, "%s: expected %s", option->name, option->expected);
}

static enum exit_code parse_argument(struct invocation *invocation, const char *argument) {
    struct command_line *line = &invocation->line;
    const char *name = invocation->command->argument;
    const size_t most = name == NULL ? 0 : strstr(name, "...") != NULL ? ARGUMENTS_MAX : 1;
    if (line->argument_count == most)
        return complain(invocation,
                        most == ARGUMENTS_MAX ? "too many arguments, at %s" : "unexpected argument %s",
                        argument);
    line->arguments[line->argument_count++] = argument;
    line->argument = line->arguments[0];
    return EXIT_DONE;
}

/* Are all required arguments present? */
static enum exit_code check_complete(const struct invocation *invocation) {
    const struct command *command = invocation->command;
    if (command_needs_config(command) && invocation->line.config_path == NULL)
        return complain(invocation, "-c FILE is required");
    if (command->argument != NULL && command->argument[0] != '[' && invocation->line.argument == NULL)
        return complain(invocation, "%s is missing", command->argument);
    return EXIT_DONE;
}

static enum exit_code parse_rest(struct invocation *invocation, char **arguments) {
    enum exit_code code = EXIT_DONE;
    for (int at = 0; arguments[at] != NULL && code == EXIT_DONE; at++) {
        if (strcmp(arguments[at], "--help") == 0 || strcmp(arguments[at], "-h") == 0) {
            invocation->line =
                (struct command_line){.arguments = {invocation->command->name}, .argument_count = 1};
            invocation->command = &command_help;
            return EXIT_DONE;
        }
        code = arguments[at][0] == '-' && arguments[at][1] != '\0'
                   ? parse_option(invocation, arguments, &at)
                   : parse_argument(invocation, arguments[at]);
    }
    return code == EXIT_DONE ? check_complete(invocation) : code;
}

/* The first word of a command of two words, without the second. */
static enum exit_code parse_group(struct invocation *invocation, char **arguments) {
    if (arguments[1] == NULL || (strcmp(arguments[1], "--help") != 0 && strcmp(arguments[1], "-h") != 0))
        return complain(invocation, "%s is the first word of several commands, which pgcdc help %s describes",
                        arguments[0], arguments[0]);
    invocation->command = &command_help;
    return parse_argument(invocation, arguments[0]);
}

static enum exit_code main_parse(struct invocation *invocation, char **arguments) {
    size_t words = 0;
    if (arguments[0] == NULL)
        return complain(invocation, "a command is required");
    invocation->command = command_find((const char *const *) arguments, &words);
    if (invocation->command != NULL)
        return parse_rest(invocation, arguments + words);
    if (command_find_group(arguments[0]) != COMMANDS_NONE)
        return parse_group(invocation, arguments);
    const char *meant = command_nearest(arguments[0]);
    return meant != NULL ? complain(invocation, "unknown command %s, did you mean %s?", arguments[0], meant)
                         : complain(invocation, "unknown command %s", arguments[0]);
}

/* The first signal requests an orderly stop; the second exits at once. */
static void handle_stop(int signal_number) {
    (void) signal_number;
    if (atomic_exchange(&asked, true))
        _exit(EXIT_FAILED);
    atomic_store(&stop, true);
}

static void handle_hangup(int signal_number) {
    (void) signal_number;
    atomic_store(&hangup, true);
}

/* The end of --timeout. A signal after it counts as the first. */
static void handle_alarm(int signal_number) {
    (void) signal_number;
    atomic_store(&stop, true);
}

/*
 * The next file would get a closed descriptor's number, and the output would end up in it. What is opened
 * instead is for the other direction, so that using the descriptor still fails.
 */
static bool fill_descriptors(void) {
    for (int fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
        if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) != fd)
            return false;
    return true;
}

static void ignore_signals(void) {
    static const int SIGNALS[] = {SIGPIPE, SIGXFSZ, SIGHUP, SIGUSR1, SIGUSR2};
    const struct sigaction ignore = {.sa_handler = SIG_IGN};
    for (size_t i = 0; i < sizeof SIGNALS / sizeof SIGNALS[0]; i++)
        sigaction(SIGNALS[i], &ignore, NULL);
}

/*
 * A closed pipe or a full disk must be a write error, not the end of the process. A closed terminal makes
 * `run` read its file again, and ends nothing. SIGUSR1 and SIGUSR2 are ignored.
 */
static void set_signals(const struct command *command) {
    struct sigaction alarm = {.sa_handler = handle_alarm, .sa_flags = SA_RESTART};
    struct sigaction hang = {.sa_handler = handle_hangup, .sa_flags = SA_RESTART};
    struct sigaction handle = {.sa_handler = handle_stop, .sa_flags = SA_RESTART};
    ignore_signals();
    if (command == &command_run)
        sigaction(SIGHUP, &hang, NULL);
    sigaction(SIGALRM, &alarm, NULL);
    sigaction(SIGTERM, &handle, NULL);
    sigaction(SIGINT, &handle, NULL);
}

/* The database that --database names. Its directory is in the file's. */
static bool choose_database(struct command_line *line, struct error *err) {
    const struct config_database *database = config_find_database(line->config, line->database);
    if (database != NULL) {
        (void) mkdir(line->config->state, 0750); /* the engine says what is wrong with it */
        return config_choose_database(line->config, database, err);
    }
    error_set(err, ERROR_CONFIG, "%s has no database %s in migrate.databases", line->config->path,
              line->database);
    return error_remedy(err, "give --database a name as migrate.databases has it, of the source");
}

static bool read_config(struct command_line *line, struct error *err) {
    return config_read(line->config_path, &line->config, err) &&
           (line->database == NULL || choose_database(line, err)) &&
           (databases_has_many(line) || !line->is_reverse || config_reverse(line->config, err));
}

/* The command line's word counts more than the file's. */
static void set_log(const struct command_line *line) {
    if (line->log == NULL && line->config != NULL)
        log_set_format(line->config->log);
    if (line->verbose)
        log_set_level(LOG_LEVEL_DEBUG);
    else if (line->config != NULL)
        log_set_level(line->config->log_level);
}

static enum exit_code run_with_config(struct invocation *invocation) {
    struct error err = {0};
    if (!read_config(&invocation->line, &err)) {
        log_command_failure(NULL, &err);
        config_free(invocation->line.config);
        return exit_code_of(&err);
    }
    set_log(&invocation->line);
    log_begin(invocation->line.config->name);
    enum exit_code code = databases_has_many(&invocation->line)
                              ? databases_run(invocation->command, &invocation->line)
                              : invocation->command->run(&invocation->line);
    log_end();
    log_begin(NULL);
    config_free(invocation->line.config);
    return code;
}

/* --log counts from the first error on, also of a command line that is wrong before it. */
static void find_log_format(char **arguments) {
    const size_t length = strlen(OPTION_LOG.name);
    enum log_format format;
    for (size_t i = 0; arguments[i] != NULL; i++) {
        const char *value = NULL;
        if (strcmp(arguments[i], OPTION_LOG.name) == 0)
            value = arguments[i + 1];
        else if (strncmp(arguments[i], OPTION_LOG.name, length) == 0 && arguments[i][length] == '=')
            value = arguments[i] + length + 1;
        if (value != NULL && log_format_parse(value, &format))
            log_set_format(format);
    }
}

/* Output that did not arrive is a failure, unless the reader closed the pipe. */
static enum exit_code check_output(enum exit_code code) {
    bool failed = fflush(stdout) != 0 || ferror(stdout) != 0;
    if (!failed || code != EXIT_DONE)
        return code;
    log_command(LOG_OUTPUT_LOST, NULL, "cannot write to standard output");
    return EXIT_FAILED;
}

int main(int argument_count, char **arguments) {
    struct invocation invocation = {.line = {.stop = &stop, .hangup = &hangup}};
    if (!fill_descriptors())
        return EXIT_FAILED;
    find_log_format(arguments + (argument_count > 0));
    enum exit_code code = main_parse(&invocation, arguments + (argument_count > 0));
    if (code != EXIT_DONE)
        return code;
    set_signals(invocation.command);
    set_log(&invocation.line);
    code = invocation.line.config_path != NULL ? run_with_config(&invocation)
                                               : invocation.command->run(&invocation.line);
    return check_output(code);
}
