/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion_fish.c - the completion for fish: one line for each command, and for each option of one.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/commands/completion.h"

static void put_description(const char *text) {
    fputs(" -d '", stdout);
    completion_put_quoted(text, "\\");
    puts("'");
}

static void put_names(const char *condition) {
    for (size_t i = 0; command_at(i) != NULL; i++) {
        const struct slice word = completion_first_word(command_at(i));
        if (completion_is_repeated(i))
            continue;
        printf("complete -c pgcdc -n %s -f -a %.*s", condition, (int) word.size, word.data);
        put_description(command_at(i)->summary);
    }
}

static void put_second_word(const struct command *command) {
    const struct slice first = completion_first_word(command);
    printf("complete -c pgcdc -n '__pgcdc_is %.*s' -f -a %s", (int) first.size, first.data,
           completion_second_word(command));
    put_description(command->summary);
}

/* -F: a file's name. -x: one of the words, or what no one can guess. */
static void put_value(const char *placeholder) {
    if (strcmp(placeholder, OPTION_CONFIG.value) == 0) {
        fputs(" -r -F", stdout);
        return;
    }
    fputs(" -x -a '", stdout);
    completion_put_words(placeholder);
    putchar('\'');
}

static void put_option(const struct command *command, const struct command_use *use) {
    const char *name = use->option->name;
    const bool is_long = name[1] == '-';
    printf("complete -c pgcdc -n '__pgcdc_begins %s' -%c %s", command->name, is_long ? 'l' : 's',
           name + 1 + is_long);
    if (use->option->value != NULL)
        put_value(use->option->value);
    put_description(completion_help(use));
}

static void put_argument(const struct command *command) {
    const char *rest = command->argument;
    struct slice word;
    if (command == &command_help) {
        put_names("'__pgcdc_begins help'");
        fputs("complete -c pgcdc -n '__pgcdc_is help' -f -a config", stdout);
        put_description("the configuration file");
    } else if (rest != NULL && completion_next_word(&rest, &word)) {
        printf("complete -c pgcdc -n '__pgcdc_is %s' -f -a '", command->name);
        completion_put_words(command->argument);
        puts("'");
    }
}

static void put_command(const struct command *command) {
    for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
        put_option(command, use);
    if (command_needs_config(command))
        put_option(command, &COMPLETION_DATABASE);
    put_option(command, &COMPLETION_LOG);
    put_option(command, &COMPLETION_VERBOSE);
    printf("complete -c pgcdc -n '__pgcdc_begins %s' -l help", command->name);
    put_description(COMPLETION_HELP);
    put_argument(command);
}

void completion_print_fish(void) {
    const struct command *command = NULL;
    puts("# The completion of pgcdc for fish, as `pgcdc completion fish` prints it.\n"
         "function __pgcdc_before -d 'The words between pgcdc and the cursor'\n"
         "    set -l words (commandline -opc)\n"
         "    set -e words[1]\n"
         "    echo \"$words\"\n"
         "end\n"
         "\n"
         "function __pgcdc_begins\n"
         "    string match -q -- \"$argv *\" (__pgcdc_before)' '\n"
         "end\n"
         "\n"
         "function __pgcdc_is\n"
         "    test (__pgcdc_before) = \"$argv\"\n"
         "end\n");
    put_names("__pgcdc_is");
    for (size_t i = 0; (command = command_at(i)) != NULL; i++) {
        if (completion_second_word(command) != NULL)
            put_second_word(command);
        put_command(command);
    }
}
