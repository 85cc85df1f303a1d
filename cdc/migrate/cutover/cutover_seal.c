/* SPDX-License-Identifier: Apache-2.0 */
/*
 * cutover_seal.c - a database that takes writes only from our own sessions, which set the default themselves.
 *
 * The default holds for sessions that begin after it; all others are ended. A session that begins while it is
 * set may have either, so those that began before the server's clock afterwards are ended too. The row in
 * pgcdc.migration comes first, so that a kill in between is found.
 */
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/migrate/cutover/cutover_parts.h"
#include "cdc/pq/identifier.h"

enum { END_MAX_MS = 10000, PAUSE_MS = 20 };

static bool alter_default(struct session *session, const char *change, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 1024};
    buffer_append_text(&sql, "alter database ");
    identifier_append(&sql, slice_of(PQdb(session->conn)));
    buffer_printf(&sql, " %s", change);
    return buffer_text(&sql) == NULL ? error_no_memory(err) : session_execute(session, sql.data, err);
}

/* *ret_count: sessions that had not ended yet. */
static bool end_sessions(struct session *session, const char *before, int *ret_count, struct error *err) {
    static const char SQL[] =
        "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database()"
        " and pid <> pg_backend_pid() and backend_type = 'client backend'"
        " and application_name !~ '^pgcdc' and backend_start <= $1::timestamptz";
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(session, SQL, 1, &before,
                       &(const struct result_shape){"the end of other sessions", 0, RESULT_ROWS_ANY, 1, 0},
                       &rows, err))
        return false;
    *ret_count = PQntuples(rows);
    return true;
}

static bool end_all_sessions(struct session *session, struct error *err) {
    const int64_t until_ms = clock_now_ms() + END_MAX_MS;
    PGresult *now AUTO_PGRESULT = NULL;
    if (!session_query(session, "select clock_timestamp()", 0, NULL,
                       &(const struct result_shape){"the clock", 1, 1, 1, 0}, &now, err))
        return false;
    for (;;) {
        int count = 0;
        if (!end_sessions(session, PQgetvalue(now, 0, 0), &count, err))
            return false;
        if (count == 0)
            return true;
        if (clock_now_ms() >= until_ms)
            return error_set(err, ERROR_RETRY, "%s: %s did not end", session->peer,
                             amount_count((uint64_t) count, "session").text);
        clock_pause_ms(PAUSE_MS);
    }
}

bool seal_database(struct cutover *cutover, bool of_from, struct error *err) {
    const char *side = cutover_side(cutover, of_from);
    struct session *session = of_from ? &cutover->from : &cutover->to;
    if (!steps_begin(&cutover->steps, SEAL_STEP, side, NULL, err))
        return false;
    FAULT_POINT("cutover-before-seal");
    if (!alter_default(session, "set default_transaction_read_only = on", err))
        return error_wrap(err, "database %s", PQdb(session->conn));
    FAULT_POINT("cutover-in-seal");
    return end_all_sessions(session, err) && steps_done(&cutover->steps, SEAL_STEP, side, NULL, err);
}

bool unseal_database(struct cutover *cutover, bool of_from, struct error *err) {
    const char *side = cutover_side(cutover, of_from);
    struct session *session = of_from ? &cutover->from : &cutover->to;
    struct step step;
    if (!steps_read(&cutover->steps, SEAL_STEP, side, &cutover->arena, &step, err))
        return false;
    if (step.state == STEP_NONE || step.state == STEP_FAILED)
        return true;
    if (!alter_default(session, "reset default_transaction_read_only", err))
        return false;
    FAULT_POINT("cutover-unsealed");
    /* failed: it is not sealed */
    return steps_failed(&cutover->steps, SEAL_STEP, side, NULL, err);
}

/* The locks were held from the fence until now if their transaction still works. */
static bool check_locks_held(struct cutover *cutover, struct error *err) {
    return session_execute(&cutover->fence, "select 1", err) ||
           error_wrap(err, "%s: the session with the locks was lost, so changes may have been committed",
                      cutover->from.peer);
}

/* A table that joined the stream after the fence was not locked. */
static bool check_tables_same(struct cutover *cutover, struct error *err) {
    struct table_list now;
    if (!catalog_read_tables(&cutover->from, cutover->stream->source.publication_array, &cutover->arena, &now,
                             err))
        return false;
    bool is_same = now.count == cutover->tables.count;
    for (size_t i = 0; is_same && i < now.count; i++)
        is_same = now.tables[i].oid == cutover->tables.tables[i].oid;
    return is_same ||
           error_set(err, ERROR_RETRY, "%s: tables were created, dropped or published behind the fence",
                     cutover->from.peer) ||
           error_remedy(err, "run the command again when the schema does not change");
}

/*
 * With the other fences the database is closed already. Until here nextval was possible under the locks, so
 * the sequences are set once more.
 */
bool cutover_seal(struct cutover *cutover, struct error *err) {
    const bool has_locks = cutover->config->cutover.fence == FENCE_LOCKS;
    if (has_locks && (!seal_database(cutover, true, err) || !check_locks_held(cutover, err)))
        return false;
    if (!check_tables_same(cutover, err) || !cutover_set_sequences(cutover, err))
        return false;
    cutover_tell(cutover, CUTOVER_SEALED, "%s takes no more writes", cutover_side(cutover, true));
    return true;
}
