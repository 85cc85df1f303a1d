/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identifier.h - names and literals in SQL text, where a parameter is not possible.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/slice.h"

/* "name", with quotes inside doubled. */
void identifier_append(struct buffer *sql, struct slice name);

/* "schema"."name". */
void identifier_append_qualified(struct buffer *sql, struct slice schema, struct slice name);

/*
 * For a statement that a person reads and runs: a name that a terminal would not show as it is becomes
 * U&"a\000Ab". For SQL only: replication commands do not know that form.
 */
void identifier_append_printable(struct buffer *sql, struct slice name);
void identifier_append_printable_qualified(struct buffer *sql, struct slice schema, struct slice name);

/* The same as a text in arena, qualified unless schema is NULL; the bare name when memory is exhausted. */
const char *identifier_printable(const char *schema, const char *name, struct arena *arena);

/* 'text' with quotes doubled; E'' with backslashes doubled when there are any. */
void literal_append(struct buffer *sql, struct slice text);
