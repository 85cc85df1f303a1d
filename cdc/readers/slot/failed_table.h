/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failed_table.h - which table a row belongs to that the server cannot send.
 *
 * The server's error names no table. A session sends the definition of a table before the first row, so a
 * session that begins with the row's transaction shows it.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "cdc/pq/session.h"
#include "cdc/readers/slot/replication.h"

/*
 * session: its stream has failed on the first transaction after options->start_lsn, which is sent again, for
 * half a minute at most. False: the table is not known. names: for an error, 'table "s"."t"', or the tables
 * of which it is one.
 */
bool failed_table_find(struct session *session, const struct replication_options *options,
                       const atomic_bool *stop, char *names, size_t size);
