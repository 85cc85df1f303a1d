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

static void print_names(void) {
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        printf("%s%s", i > 0 ? " " : "", command->name);
}

/* The words in lower case of a placeholder such as "caught-up|LSN" or "source|target[:SINK]"; often none. */
static void print_values(const struct command_option *option) {
    const char *value = option->value;
    printf("    *' %s') words='", option->name);
    for (size_t size; *value >= 'a' && *value <= 'z'; value += size + (value[size] == '|')) {
        size = strspn(value, "abcdefghijklmnopqrstuvwxyz-");
        printf("%.*s ", (int) size, value);
    }
    puts("' ;;");
}

/* Each option with a value, once, although several commands have it. */
static void print_all_values(void) {
    const struct command *command = NULL;
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++) {
            size_t first = 0;
            while (command_find_use(command_at(first), use->option->name, strlen(use->option->name)) == NULL)
                first++;
            if (first == i && use->option->value != NULL)
                print_values(use->option);
        }
}

static void print_options_of(const struct command *command) {
    printf("    '%s' | '%s '*) words='", command->name, command->name);
    for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
        printf("%s ", use->option->name);
    printf("%s --help", OPTION_VERBOSE.name);
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
    print_all_values();
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        print_options_of(command);
    puts("    esac\n"
         "    COMPREPLY=($(compgen -W \"$words\" -- \"${COMP_WORDS[COMP_CWORD]}\"))\n"
         "}\n"
         "complete -o default -F _pgcdc pgcdc");
}
