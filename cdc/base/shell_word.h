/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shell_word.h - a file name, or any other text, as one word of a command that a user may paste into a shell.
 *
 * A word that needs no quotes stays as it is. A blank, a quote or a dollar sign puts the word in quotes.
 * Characters that a reader cannot see (visible.h) are escaped in $'...', which bash, zsh and ksh understand.
 */
#pragma once

#include "cdc/base/slice.h"

#define SHELL_WORD_MAX (4 * 4096 + 8) /* the longest path, with every byte escaped */

struct shell_word {
    char text[SHELL_WORD_MAX];
};

/*
 * A word that begins with a dash would be read as an option, so a file name gets ./ in front. Text longer
 * than any path is cut.
 */
struct shell_word shell_word(const char *word);
struct shell_word shell_word_of_file(const char *path);
