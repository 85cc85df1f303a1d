/* SPDX-License-Identifier: Apache-2.0 */
/*
 * target_watch.c - compares a digest of the catalog; looking the tables up again finds the difference.
 */
#include "sinks/postgres/catalog/target_watch.h"

#include <stdio.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"

enum { INTERVAL_MS = 60000 };

/* Includes internal triggers, because foreign keys are triggers. A temporary table is never a target. */
static const char SQL[] =
    "select pg_catalog.md5(coalesce(pg_catalog.string_agg(x, ',' order by x collate \"C\"), '')) from ("
    "  select pg_catalog.concat_ws(' ', oid, relpersistence, relhasrules)"
    "   from pg_catalog.pg_class where relkind in ('r', 'p') and relpersistence <> 't'"
    "  union all select pg_catalog.concat_ws(' ', tgrelid, oid, tgenabled, tgtype)"
    "   from pg_catalog.pg_trigger) t (x)";

bool target_watch_ask(struct target_watch *watch, struct session *session, bool *ret_changed,
                      struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const int64_t now_ms = clock_now_ms();
    *ret_changed = false;
    if (watch->asked_ms != 0 && now_ms - watch->asked_ms < FAULT_INTERVAL_MS(INTERVAL_MS))
        return true;
    if (!session_query(session, SQL, 0, NULL,
                       &(const struct result_shape){"the query for changed tables", 1, 1, 1, 0}, &result,
                       err))
        return false;
    const char *digest = PQgetvalue(result, 0, 0);
    *ret_changed = watch->asked_ms != 0 && strcmp(watch->digest, digest) != 0;
    watch->asked_ms = now_ms;
    snprintf(watch->digest, sizeof watch->digest, "%s", digest);
    return true;
}
