/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_wait.h - reports which session another session waits for, so that no wait is silent.
 *
 * A session that waits cannot query, so another one does, for a moment. The holder's query is shown only up
 * to the first quote, dollar sign or digit: the rest can contain a row's value.
 */
#pragma once

#include "cdc/pq/session.h"

/*
 * Logs the holders of the lock that the session has been waiting for since waited_ms; logs nothing when it
 * does not wait for a lock. ret_idle_since: since when the server has been idle in this session, in the
 * server's words, or "".
 */
void lock_wait_report(const struct session *session, int64_t waited_ms, char *ret_idle_since, size_t size);

/*
 * Is the server's process of this replication connection at work? False also when it waits for WAL or for us,
 * and when the server cannot be asked.
 */
bool lock_wait_sender_works(const struct session *session);

/*
 * After lock_timeout (55P03): adds to *err the sessions that hold exclusive locks on tables of this database.
 * Returns false.
 */
bool lock_wait_explain(const struct session *session, struct error *err);

/* The same, and every session that holds a lock of any kind on this table. */
bool lock_wait_explain_table(const struct session *session, const char *table, struct error *err);
