/* SPDX-License-Identifier: Apache-2.0 */
/*
 * server_message.h - what a server's error says, without any value of a row.
 *
 * PostgreSQL quotes values in the messages of data exceptions, and a message that a function or trigger
 * raises may hold anything. Both stand in the language of the server. So such a message is not shown; the
 * name of the condition, which the SQLSTATE tells, stands in its place.
 */
#pragma once

#include <libpq-fe.h>
#include <stdbool.h>
#include <stddef.h>

/*
 * Writes what may be shown of the error to text, with its NUL; what does not fit is cut. Names of tables,
 * types and constraints may be in it, never a value.
 */
void server_message_write(const PGresult *result, const char *sqlstate, char *text, size_t size);

/*
 * True when the program of a user wrote the message: RAISE and its kin. Then no field of the error is known
 * to be a name.
 */
bool server_message_is_raised(const PGresult *result);
