/* SPDX-License-Identifier: Apache-2.0 */
/*
 * lock_wait.h - says for whom a session waits, so that nothing waits without a word.
 *
 * The one who waits cannot ask, so another session does, for a moment. Of the holder's query only what stands
 * before the first quote, dollar sign or digit is shown: what follows can be a row's value.
 */
#pragma once

#include "cdc/pq/session.h"

/*
 * Logs who holds what the session has been waiting for since waited_ms; nothing when it does not wait for
 * anybody. ret_idle_since: since when the server has had nothing to do for this session, in its words, or "".
 */
void lock_wait_report(const struct session *session, int64_t waited_ms, char *ret_idle_since, size_t size);

/*
 * After lock_timeout (55P03): adds to *err who holds locks on tables of this database that nobody else can
 * read under. Returns false.
 */
bool lock_wait_explain(const struct session *session, struct error *err);
