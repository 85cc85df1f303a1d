/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_keyword.h - what libpq means when it cannot read a connection string: which word of it was meant to be
 * a keyword.
 */
#pragma once

#include <stdbool.h>

#define DSN_KEYWORD_MAX 64

/* message: of libpq, which does not translate it here, or NULL. Then the string may be right. */
bool dsn_lacks_memory(const char *message);

/*
 * message: what libpq says of the string, which names the word that it does not know. That word may be a part
 * of a password with a blank in it; so it is told only when it stands before "=" and is nearly a keyword of
 * libpq, in ret_keyword.
 */
bool dsn_keyword_find(const char *dsn, const char *message, char ret_word[static DSN_KEYWORD_MAX],
                      char ret_keyword[static DSN_KEYWORD_MAX]);
