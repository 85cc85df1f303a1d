/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible.h - text from outside, made safe for a log and a terminal.
 *
 * A server's message, a name in a catalog or a broker's answer may contain anything: an escape sequence that
 * rewrites the screen, a line feed that starts a forged log line, bytes of another encoding. So control
 * characters and bytes that are not UTF-8 are written as \xNN, a line feed as \n, and characters that change
 * the direction of text as \uNNNN. Everything else stays, backslashes too, so safe text is unchanged.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "cdc/base/slice.h"

/*
 * The code of the character that text begins with, if it is DEL or a character beyond ASCII that is escaped;
 * else 0. text is not empty.
 */
uint32_t visible_trick(struct slice text);

/*
 * Writes one line, with its NUL, whatever text contains. Text that does not fit is cut between two
 * characters. Returns the length.
 */
size_t visible_write(char *to, size_t size, struct slice text);

/* The same to a file, with nothing cut. */
void visible_print(FILE *file, struct slice text);

/* The same for a text whose line feeds are our own: they stay. */
void visible_print_lines(FILE *file, struct slice text);
