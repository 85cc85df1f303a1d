/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_keyword.h - which word of a connection string was meant to be one of libpq's keywords.
 */
#pragma once

#include <stdbool.h>

#define DSN_KEYWORD_MAX 64

/*
 * message: what libpq says of the string, which names the word that it does not know. That word may be a part of a password
 * with a blank in it; so it is told only when it stands before "=" and is nearly a keyword of libpq, in ret_keyword.
 */
bool dsn_keyword_find(const char *dsn, const char *message, char ret_word[static DSN_KEYWORD_MAX],
                      char ret_keyword[static DSN_KEYWORD_MAX]);
