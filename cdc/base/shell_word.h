/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_word.h - a file's name, or any other text, as one word of a command that somebody may paste into a
 * shell.
 *
 * What a shell takes as it is stays as it is. A blank, a quote or a dollar sign gets quotes round the word,
 * and what a reader would not see (see visible.h) is spelled out in $'...', which bash, zsh and ksh take.
 */
#pragma once

#include "cdc/base/slice.h"

#define SHELL_WORD_MAX (4 * 4096 + 8) /* a path of the longest, every byte of it spelled out */

struct shell_word {
    char text[SHELL_WORD_MAX];
};

/*
 * A word that begins with a dash is taken for an option: a file has ./ before it then. What is longer than
 * any path is cut.
 */
struct shell_word shell_word(const char *word);
struct shell_word shell_word_of_file(const char *path);
