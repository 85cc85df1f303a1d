/* SPDX-License-Identifier: Apache-2.0 */
/*
 * visible.h - text from outside, made safe for a log and a terminal.
 *
 * A server's message, a name in a catalog or a broker's answer may hold whatever its author wanted: an escape
 * sequence that rewrites the screen, a line feed that begins a line of its own, bytes of another encoding.
 * Nothing of that reaches a reader as it is: control characters and bytes that are not UTF-8 are written as
 * \xNN, a line feed as \n, and the characters that turn the direction of a text as \uNNNN. Everything else
 * stays, backslashes too; so what is safe stays as it is.
 */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "cdc/base/slice.h"

/*
 * Writes one line, with its NUL, whatever text holds; what does not fit is cut between two characters.
 * Returns its length.
 */
size_t visible_write(char *to, size_t size, struct slice text);

/* The same to a file, with nothing cut. */
void visible_print(FILE *file, struct slice text);

/* The same for a text whose line feeds are ours: they stay. */
void visible_print_lines(FILE *file, struct slice text);
