/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.c - what the completions for bash, zsh and fish share.
 */
#include "cdc/commands/completion.h"

#include <stdio.h>
#include <string.h>

const struct command_use COMPLETION_LOG = {&OPTION_LOG, "the form of log lines", false};
const struct command_use COMPLETION_VERBOSE = {&OPTION_VERBOSE, "log in detail", false};
const struct command_use COMPLETION_DATABASE = {&OPTION_DATABASE, "one of migrate.databases", false};

struct slice completion_first_word(const struct command *command) {
    return (struct slice){.data = command->name, .size = strcspn(command->name, " ")};
}

const char *completion_second_word(const struct command *command) {
    const char *space = strchr(command->name, ' ');
    return space != NULL ? space + 1 : NULL;
}

bool completion_is_repeated(size_t index) {
    return index > 0 && slice_equal(completion_first_word(command_at(index)),
                                    completion_first_word(command_at(index - 1)));
}

bool completion_next_word(const char **placeholder, struct slice *ret_word) {
    const char *at = *placeholder;
    const size_t size = strspn(at, "abcdefghijklmnopqrstuvwxyz-");
    if (at[0] < 'a' || at[0] > 'z')
        return false;
    *ret_word = (struct slice){.data = at, .size = size};
    *placeholder = at + size + (at[size] == '|');
    return true;
}

void completion_put_words(const char *placeholder) {
    struct slice word;
    while (completion_next_word(&placeholder, &word))
        printf("%.*s ", (int) word.size, word.data);
}

void completion_put_quoted(const char *text, const char *escaped) {
    for (; *text != '\0' && *text != '\n'; text++) {
        if (strchr(escaped, *text) != NULL)
            putchar('\\');
        if (*text == '\'')
            fputs("'\\'", stdout); /* ends the quotes, and puts a quote outside of them */
        putchar(*text);
    }
    if (*text == '\n')
        fputs(" …", stdout);
}

const char *completion_help(const struct command_use *use) {
    if (use->help != NULL)
        return use->help;
    return use->option->expected != NULL ? use->option->expected : "";
}
