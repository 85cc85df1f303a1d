/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dsn_database.h - a connection string of another database of the same server.
 */
#pragma once

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"

/*
 * The same connection to another database, in keywords: a URI has its own place for the name. dsn must be one
 * that libpq can parse. It may have a password, so ret_dsn has it too.
 */
MUST_CHECK bool dsn_replace_database(const char *dsn, const char *database, struct buffer *ret_dsn,
                                     struct error *err);

/* Does it name a database? False also for one that libpq cannot parse. */
bool dsn_names_database(const char *dsn);
