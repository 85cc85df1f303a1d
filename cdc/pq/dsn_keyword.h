/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_keyword.h - finds the misspelled keyword in a connection string that libpq cannot parse.
 */
#pragma once

#include <stdbool.h>

#define DSN_KEYWORD_MAX 64

/* message: libpq's, which is not translated in this program; or NULL, when the string may be right. */
bool dsn_lacks_memory(const char *message);

/*
 * message: libpq's complaint, which names the unknown word. That word may be part of a password with a blank
 * in it. So it is reported, in ret_keyword, only when it is before a "=" and nearly a keyword of libpq.
 */
bool dsn_keyword_find(const char *dsn, const char *message, char ret_word[static DSN_KEYWORD_MAX],
                      char ret_keyword[static DSN_KEYWORD_MAX]);
