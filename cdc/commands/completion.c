/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - the completion for bash: commands, their options, and the words that an option's value
 * may be.
 *
 * Everything else, such as the FILE of -c, is completed as a file name.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/command.h"
#include "cdc/commands/help.h"

/* "table" of "table add". */
static size_t first_word(size_t index) {
    return strcspn(command_at(index)->name, " ");
}

/* Does the command before it begin with the same word? Those that do are next to each other. */
static bool is_repeated(size_t index) {
    return index > 0 && first_word(index) == first_word(index - 1) &&
           memcmp(command_at(index)->name, command_at(index - 1)->name, first_word(index)) == 0;
}

static void print_names(void) {
    for (size_t i = 0; command_at(i) != NULL; i++)
        if (!is_repeated(i))
            printf("%s%.*s", i > 0 ? " " : "", (int) first_word(i), command_at(i)->name);
}

/* After the first word of commands of two words: the second ones. */
static void print_second_words(void) {
    for (size_t i = 0; command_at(i) != NULL; i++) {
        if (command_at(i)->name[first_word(i)] == '\0' || is_repeated(i))
            continue;
        printf("    '%.*s') words='", (int) first_word(i), command_at(i)->name);
        for (size_t at = i; at == i || (command_at(at) != NULL && is_repeated(at)); at++)
            printf("%s ", command_at(at)->name + first_word(at) + 1);
        puts("' ;;");
    }
}

/* The words in lower case of a placeholder such as "caught-up|LSN" or "source|target[:SINK]"; often none. */
static void print_values(const struct command *command, const struct command_option *option) {
    const char *value = option->value;
    printf("    '%s'*' %s') words='", command->name, option->name);
    for (size_t size; *value >= 'a' && *value <= 'z'; value += size + (value[size] == '|')) {
        size = strspn(value, "abcdefghijklmnopqrstuvwxyz-");
        printf("%.*s ", (int) size, value);
    }
    puts("' ;;");
}

/* An option of the same name takes other words in another command. */
static void print_all_values(void) {
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
            if (use->option->value != NULL)
                print_values(command, use->option);
}

static void print_options_of(const struct command *command) {
    printf("    '%s' | '%s '*) words='", command->name, command->name);
    for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
        printf("%s ", use->option->name);
    if (command_needs_config(command))
        printf("%s ", OPTION_DATABASE.name);
    printf("%s %s --help", OPTION_LOG.name, OPTION_VERBOSE.name);
    if (command == &command_help) {
        fputs(" config ", stdout);
        print_names();
    }
    puts("' ;;");
}

void completion_print(void) {
    const struct command *command = NULL;
    fputs("# The completion of pgcdc for bash, as `pgcdc help bash` prints it.\n"
          "_pgcdc() {\n"
          "    local words='' before=${COMP_WORDS[*]:1:COMP_CWORD-1}\n"
          "    case $before in\n"
          "    '') words='",
          stdout);
    print_names();
    puts("' ;;");
    print_second_words();
    print_all_values();
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        print_options_of(command);
    puts("    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _pgcdc pgcdc");
}
