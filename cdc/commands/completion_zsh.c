/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion_zsh.c - the completion for zsh: _describe lists commands, _arguments the options of one.
 */
#include <stdio.h>
#include <string.h>

#include "cdc/commands/completion.h"

/* 'check:find every problem at once' */
static void put_description(struct slice name, const char *summary) {
    printf("'%.*s:", (int) name.size, name.data);
    completion_put_quoted(summary, "\\");
    putchar('\'');
}

static void put_names(void) {
    for (size_t i = 0; command_at(i) != NULL; i++) {
        if (completion_is_repeated(i))
            continue;
        fputs("        ", stdout);
        put_description(completion_first_word(command_at(i)), command_at(i)->summary);
        putchar('\n');
    }
}

/* After the first word of commands of two words: the second ones. */
static void put_second_words(void) {
    for (size_t i = 0; command_at(i) != NULL; i++) {
        const struct slice first = completion_first_word(command_at(i));
        if (completion_second_word(command_at(i)) == NULL || completion_is_repeated(i))
            continue;
        printf("        %.*s)\n            names=(\n", (int) first.size, first.data);
        for (size_t at = i; at == i || (command_at(at) != NULL && completion_is_repeated(at)); at++) {
            fputs("                ", stdout);
            put_description(slice_of(completion_second_word(command_at(at))), command_at(at)->summary);
            putchar('\n');
        }
        puts("            )\n            ;;");
    }
}

/* ":VALUE:(words)", ":FILE:_files", or ":LSN: " for a value that no one can guess. */
static void put_value(const char *placeholder) {
    const char *rest = placeholder;
    struct slice word;
    putchar(':');
    completion_put_quoted(placeholder, ":\\");
    if (strcmp(placeholder, OPTION_CONFIG.value) == 0) {
        fputs(":_files", stdout);
    } else if (completion_next_word(&rest, &word)) {
        fputs(":(", stdout);
        completion_put_words(placeholder);
        putchar(')');
    } else {
        fputs(": ", stdout);
    }
}

/* '*--until=[help]:VALUE:(words)'. An option may be given again, so that none is left out. */
static void put_option(const struct command_use *use) {
    const struct command_option *option = use->option;
    const bool is_long = option->name[1] == '-';
    printf(" \\\n            '*%s%s[", option->name, option->value != NULL && is_long ? "=" : "");
    completion_put_quoted(completion_help(use), "[]:\\");
    putchar(']');
    if (option->value != NULL)
        put_value(option->value);
    putchar('\'');
}

static void put_argument(const struct command *command) {
    const char *rest = command->argument;
    struct slice word;
    if (command == &command_help) {
        fputs(" \\\n            '*:command:_pgcdc_names config'", stdout);
    } else if (rest != NULL && completion_next_word(&rest, &word)) {
        fputs(" \\\n            '1:word:(", stdout);
        completion_put_words(command->argument);
        fputs(")'", stdout);
    } else if (rest != NULL) {
        fputs(" \\\n            '*: :_default'", stdout);
    }
}

static void put_command(const struct command *command) {
    printf("    '%s '*)\n", command->name);
    puts("        shift words; (( CURRENT-- ))");
    if (completion_second_word(command) != NULL)
        puts("        shift words; (( CURRENT-- ))");
    fputs("        _arguments", stdout);
    for (const struct command_use *use = command->uses; use != NULL && use->option != NULL; use++)
        put_option(use);
    if (command_needs_config(command))
        put_option(&COMPLETION_DATABASE);
    put_option(&COMPLETION_LOG);
    put_option(&COMPLETION_VERBOSE);
    fputs(" \\\n            '*--help[" COMPLETION_HELP "]'", stdout);
    put_argument(command);
    puts("\n        ;;");
}

void completion_print_zsh(void) {
    const struct command *command = NULL;
    puts("#compdef pgcdc\n"
         "# The completion of pgcdc for zsh, as `pgcdc completion zsh` prints it.\n"
         "_pgcdc_names() {\n"
         "    local -a names=(");
    put_names();
    puts("        $@\n"
         "    )\n"
         "    _describe command names\n"
         "}\n"
         "\n"
         "_pgcdc() {\n"
         "    local -a names=()\n"
         "    if (( CURRENT == 2 )); then\n"
         "        _pgcdc_names\n"
         "        return\n"
         "    fi\n"
         "    if (( CURRENT == 3 )); then\n"
         "        case $words[2] in");
    put_second_words();
    puts("        esac\n"
         "        if (( $#names )); then\n"
         "            _describe command names\n"
         "            return\n"
         "        fi\n"
         "    fi\n"
         "    case \"$words[2] $words[3] \" in");
    for (size_t i = 0; (command = command_at(i)) != NULL; i++)
        put_command(command);
    puts("    esac\n"
         "}\n"
         "\n"
         "if [[ $funcstack[1] == _pgcdc ]]; then\n"
         "    _pgcdc \"$@\"\n"
         "else\n"
         "    compdef _pgcdc pgcdc\n"
         "fi");
}
