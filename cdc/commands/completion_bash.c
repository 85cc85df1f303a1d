/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion_bash.c - the completion for bash. What has no words, such as the FILE of -c, is completed as a
 * file name.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/commands/completion.h"

static void print_names(void) {
    for (size_t i = 0; command_at(i) != NULL; i++) {
        const struct slice word = completion_first_word(command_at(i));
        if (!completion_is_repeated(i))
            printf("%s%.*s", i > 0 ? " " : "", (int) word.size, word.data);
    }
}

/* After the first word of commands of two words: the second ones. */
static void print_second_words(void) {
    for (size_t i = 0; command_at(i) != NULL; i++) {
        const struct slice word = completion_first_word(command_at(i));
        if (completion_second_word(command_at(i)) == NULL || completion_is_repeated(i))
            continue;
        printf("    '%.*s') words='", (int) word.size, word.data);
        for (size_t at = i; at == i || (command_at(at) != NULL && completion_is_repeated(at)); at++)
            printf("%s ", completion_second_word(command_at(at)));
        puts("' ;;");
    }
}

/* An option of the same name takes other words in another command. */
static void print_values(void) {
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++) {
            if (use->option->value == NULL)
                continue;
            printf("    '%s'*' %s') words='", command->name, use->option->name);
            completion_put_words(use->option->value);
            puts("' ;;");
        }
    printf("    *' %s') words='", OPTION_LOG.name);
    completion_put_words(OPTION_LOG.value);
    puts("' ;;");
}

static void print_options_of(const struct command *command) {
    printf("    '%s' | '%s '*) words='", command->name, command->name);
    for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
        printf("%s ", use->option->name);
    if (command_needs_config(command))
        printf("%s ", OPTION_DATABASE.name);
    printf("%s %s --help ", OPTION_LOG.name, OPTION_VERBOSE.name);
    if (command->argument != NULL)
        completion_put_words(command->argument);
    if (command == &command_help) {
        fputs("config ", stdout);
        print_names();
    }
    puts("' ;;");
}

void completion_print_bash(void) {
    const struct command *command = NULL;
    fputs("# The completion of pgcdc for bash, as `pgcdc completion bash` prints it.\n"
          "_pgcdc() {\n"
          "    local words='' before=${COMP_WORDS[*]:1:COMP_CWORD-1}\n"
          "    case $before in\n"
          "    '') words='",
          stdout);
    print_names();
    puts("' ;;");
    print_second_words();
    print_values();
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        print_options_of(command);
    puts("    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _pgcdc pgcdc");
}
