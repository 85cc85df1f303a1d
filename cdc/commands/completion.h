/* SPDX-License-Identifier: Apache-2.0 */
/*
 * completion.h - the completions for three shells, made from the table of commands.
 *
 * Each completes commands, their options, and the words that an option's value or a command's argument may
 * be. zsh and fish show the summaries and helps beside them. All print to standard output.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/slice.h"
#include "cdc/command.h"

void completion_print_bash(void);
void completion_print_zsh(void);
void completion_print_fish(void);

/* ---- what they share: completion.c ---- */

/* "table" of "table add". */
struct slice completion_first_word(const struct command *command);

/* "add" of "table add"; NULL for a command of one word. */
const char *completion_second_word(const struct command *command);

/* Does the command before it begin with the same word? Those that do are next to each other. */
bool completion_is_repeated(size_t index);

/*
 * The next word in lower case of a placeholder such as "caught-up|LSN" or "source|target[:SINK]", which often
 * has none. *placeholder moves after it.
 */
bool completion_next_word(const char **placeholder, struct slice *ret_word);

/* All of those words, with a space after each. */
void completion_put_words(const char *placeholder);

/* The text's first line, for the inside of single quotes; a backslash before each of escaped. */
void completion_put_quoted(const char *text, const char *escaped);

/* One line about an option. */
const char *completion_help(const struct command_use *use);

/* The options of every command, which are in no command's table; the last of those that read a file. */
extern const struct command_use COMPLETION_LOG;
extern const struct command_use COMPLETION_VERBOSE;
extern const struct command_use COMPLETION_DATABASE;

#define COMPLETION_HELP "show the help of the command"
