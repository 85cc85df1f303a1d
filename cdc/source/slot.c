/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.c - reading, creating and dropping the slot.
 */
#include "cdc/source/slot.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/pq/aside.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/result.h"

enum {
    WAITING_REPORT_MS = 4000, /* after this long, report what the creation waits for */
    WAITING_REPORT_AGAIN_MS = 60000,
    CANCEL_WAIT_MS = 2000,
};

/* ---- reading ---- */

static lsn_t lsn_column(const PGresult *result, int column) {
    lsn_t lsn = 0;
    return !PQgetisnull(result, 0, column) && lsn_parse(PQgetvalue(result, 0, column), &lsn) ? lsn : 0;
}

static void read_row(const PGresult *result, struct slot_facts *facts) {
    facts->exists = true;
    facts->is_logical = strcmp(PQgetvalue(result, 0, 0), "logical") == 0;
    facts->is_pgoutput = strcmp(PQgetvalue(result, 0, 1), "pgoutput") == 0;
    snprintf(facts->database, sizeof facts->database, "%s", PQgetvalue(result, 0, 2));
    facts->active_pid = (int) strtol(PQgetvalue(result, 0, 3), NULL, 10);
    facts->confirmed_lsn = lsn_column(result, 4);
    facts->restart_lsn = lsn_column(result, 5);
    snprintf(facts->reason, sizeof facts->reason, "%s", PQgetvalue(result, 0, 6));
    facts->is_lost = facts->reason[0] != '\0';
    facts->is_failover = strcmp(PQgetvalue(result, 0, 8), "t") == 0;
    facts->is_synced = strcmp(PQgetvalue(result, 0, 9), "t") == 0;
    facts->is_two_phase = strcmp(PQgetvalue(result, 0, 7), "t") == 0;
}

bool slot_read(struct session *source, const char *slot, struct slot_facts *ret_facts, struct error *err) {
    static const char SQL[] =
        "select slot_type, coalesce(plugin, ''), coalesce(database, ''), coalesce(active_pid, 0),"
        " confirmed_flush_lsn, restart_lsn,"
        " case when to_jsonb(s)->>'conflicting' = 'true' then coalesce(to_jsonb(s)->>'invalidation_reason', "
        "'conflict')"
        "      when wal_status = 'lost' then coalesce(to_jsonb(s)->>'invalidation_reason', 'wal_removed')"
        "      when slot_type = 'logical' and restart_lsn is null then 'restart_lsn is null'"
        "      else coalesce(to_jsonb(s)->>'invalidation_reason', '') end,"
        " coalesce(to_jsonb(s)->>'two_phase' = 'true', false),"
        " coalesce(to_jsonb(s)->>'failover' = 'true', false),"
        " coalesce(to_jsonb(s)->>'synced' = 'true', false)"
        " from pg_catalog.pg_replication_slots s where slot_name = $1";
    const char *parameters[] = {slot};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(source, SQL, 1, parameters,
                       &(const struct result_shape){"the query for the slot", 0, 1, 10, 1u << 4 | 1u << 5},
                       &result, err))
        return false;
    *ret_facts = (struct slot_facts){0};
    if (PQntuples(result) == 1)
        read_row(result, ret_facts);
    return true;
}

/* ---- creating ---- */

/*
 * Of the query only the text before its first literal, digit or comment: later text could be a row's value. A
 * role without pg_read_all_stats sees neither state nor query of other users. A prepared transaction has no
 * pid but blocks the creation too.
 */
static const char BLOCKERS_SQL[] =
    "select 'older transactions to end: ' || string_agg(line, '; ') from ("
    " select format('pid %s, user %s, %s', pid, usename, coalesce(nullif(application_name, ''), 'no "
    "application name'))"
    "   || case when state is null then ' (pg_read_all_stats would show its query)' else format(', %s since "
    "%s, query: %s', state,"
    "   date_trunc('second', xact_start), left(regexp_replace(regexp_replace(query, "
    "$re$(['$0-9]|--|/[*]).*$re$, '…'),"
    "   '\\s+', ' ', 'g'), 100)) end as line"
    " from pg_catalog.pg_stat_activity where backend_xid is not null and pid <> pg_backend_pid()"
    " union all"
    " select format('prepared transaction %L of user %s since %s', gid, owner, date_trunc('second', "
    "prepared))"
    " from pg_catalog.pg_prepared_xacts) blockers";

static void report_blockers(struct session *source, slot_waiting_fn *waiting) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct error ignored;
    const bool asked = session_query(source, BLOCKERS_SQL, 0, NULL,
                                     &(const struct result_shape){"the query for transactions", 1, 1, 1, 1u},
                                     &result, &ignored);
    if (session_is_standby(source)) /* which does not see its primary's transactions */
        waiting(
            "the primary to log its running transactions, and for those to end; if it is idle, run there: "
            "select pg_log_standby_snapshot();");
    else if (asked && !PQgetisnull(result, 0, 0))
        waiting(PQgetvalue(result, 0, 0));
    else
        waiting("older transactions to end, which this role may not see");
}

static void run_cancel(void *context) {
    char message[256];
    PQcancel(context, message, sizeof message);
}

static void release_cancel(void *context) {
    PQfreeCancel(context);
}

/*
 * The server abandons the creation only when cancelled; otherwise the slot would appear after pgcdc exits.
 * libpq opens a connection to cancel, without a time limit, so we wait a short time only.
 */
static void cancel(struct session *replication) {
    PGcancel *request = PQgetCancel(replication->conn);
    if (request == NULL)
        return;
    const struct aside_call call = {.run = run_cancel, .release = release_cancel, .context = request};
    const enum aside_end end = aside_run(&call, NULL, CANCEL_WAIT_MS);
    if (end == ASIDE_DONE || end == ASIDE_FAILED)
        PQfreeCancel(request);
}

static bool wait_created(struct session *replication, struct session *source, slot_waiting_fn *waiting,
                         struct error *err) {
    int64_t report_ms = clock_now_ms() + WAITING_REPORT_MS;
    if (!session_flush(replication, err))
        return false;
    while (PQisBusy(replication->conn) != 0) {
        bool ready = false;
        if (!session_wait(replication, false, WAITING_REPORT_MS, &ready, err)) {
            cancel(replication);
            return false;
        }
        if (ready && PQconsumeInput(replication->conn) == 0)
            return session_error(replication, NULL, err);
        if (clock_now_ms() >= report_ms) {
            report_blockers(source, waiting);
            report_ms = clock_now_ms() + WAITING_REPORT_AGAIN_MS;
        }
    }
    return true;
}

/* kind: the words after the name in the command. */
static bool slot_create_with(struct session *replication, struct session *source, const char *slot,
                             const char *kind, slot_waiting_fn *waiting, struct slot_creation *ret_creation,
                             struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "CREATE_REPLICATION_SLOT ");
    identifier_append(&sql, slice_of(slot));
    buffer_append_text(&sql, kind);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (PQsendQuery(replication->conn, sql.data) == 0)
        return session_error(replication, NULL, err);
    if (!wait_created(replication, source, waiting, err))
        return false;
    PGresult *result AUTO_PGRESULT = NULL;
    PGresult *end AUTO_PGRESULT = NULL;
    if (!session_next_result(replication, &result, err) || !session_next_result(replication, &end, err))
        return false;
    if (PQresultStatus(result) != PGRES_TUPLES_OK)
        return session_error(replication, result, err) || error_wrap(err, "slot %s", slot);
    FAULT_POINT("slot-created");
    static const struct result_shape SHAPE = {"CREATE_REPLICATION_SLOT", 1, 1, 4, 1u << 2};
    struct slot_creation creation = {0};
    if (!result_check(result, "source", &SHAPE, err))
        return false;
    if (!lsn_parse(PQgetvalue(result, 0, 1), &creation.consistent_lsn))
        return error_set(err, ERROR_PROTOCOL, "source: unexpected answer to CREATE_REPLICATION_SLOT");
    snprintf(creation.snapshot_name, sizeof creation.snapshot_name, "%s", PQgetvalue(result, 0, 2));
    *ret_creation = creation;
    return true;
}

bool slot_create(struct session *replication, struct session *source, const char *slot,
                 const struct slot_wish *wish, slot_waiting_fn *waiting, struct slot_creation *ret_creation,
                 struct error *err) {
    const char *kind =
        wish->exports_snapshot ? " LOGICAL pgoutput EXPORT_SNAPSHOT" : " LOGICAL pgoutput NOEXPORT_SNAPSHOT";
    if (wish->is_failover) /* a server that knows it also knows options in parentheses */
        kind = wish->exports_snapshot ? " LOGICAL pgoutput (SNAPSHOT 'export', FAILOVER)"
                                      : " LOGICAL pgoutput (SNAPSHOT 'nothing', FAILOVER)";
    return slot_create_with(replication, source, slot, kind, waiting, ret_creation, err);
}

bool slot_create_temporary(struct session *replication, struct session *source, const char *slot,
                           slot_waiting_fn *waiting, lsn_t *ret_start_lsn, struct error *err) {
    struct slot_creation creation = {0};
    if (!slot_create_with(replication, source, slot, " TEMPORARY LOGICAL pgoutput NOEXPORT_SNAPSHOT", waiting,
                          &creation, err))
        return false;
    *ret_start_lsn = creation.consistent_lsn;
    return true;
}

/* ---- dropping ---- */

bool slot_drop(struct session *source, const char *slot, struct error *err) {
    struct slot_facts facts;
    if (!slot_read(source, slot, &facts, err))
        return false;
    if (!facts.exists)
        return true;
    if (facts.active_pid != 0)
        return error_set(err, ERROR_RETRY, "source: slot %s is in use by pid %d", slot, facts.active_pid);
    const char *parameters[] = {slot};
    return session_query(source, "select pg_catalog.pg_drop_replication_slot($1)", 1, parameters, NULL, NULL,
                         err);
}
