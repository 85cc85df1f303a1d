/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_message.h - a server's error message, without any value of a row.
 *
 * PostgreSQL quotes values in the messages of data exceptions, and a message that a function or a trigger
 * raises may contain anything. Both are in the server's language. So such a message is not shown; it is
 * replaced by the name of the condition, which the SQLSTATE tells.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Writes the part of the error that may be shown to text, with its NUL, cut when it does not fit. It may
 * contain names of tables, types and constraints, never a value.
 */
void server_message_write(const PGresult *result, const char *sqlstate, char *text, size_t size);

/*
 * True when a user's program wrote the message (RAISE and similar). Then no field of the error is known to be
 * a name.
 */
bool server_message_is_raised(const PGresult *result);
