/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier_snapshot.c - the snapshot of a chunk, and the lock before it.
 *
 * The lock comes before the snapshot, so a chunk is read wholly before or wholly after a change of the
 * table's definition. The snapshot comes before the first row. When it does not see a transaction that it
 * must see, whose commit waits for a synchronous standby, the transaction is repeated until it does.
 */
#include "cdc/copy/copier_work.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/wal_page.h"

enum {
    PAUSE_MS = 20,
    FLUSH_PAUSE_MIN_US = 500,
    REPORT_MS = 5000,
    /* the WAL writer flushes an asynchronous commit within three rounds */
    WAL_WRITER_ROUNDS = 3,
};

const char COPIER_DEFINITIONS[] =
    "select c.oid, pg_catalog.md5(pg_catalog.format('%s %s %s ', c.relnamespace, c.relname, c.relreplident) "
    "||"
    " coalesce((select pg_catalog.string_agg(pg_catalog.format('%s %s %s %s %s %s', a.attnum, a.attname, "
    "a.atttypid,"
    " a.atttypmod, a.attcollation, a.attgenerated), ',' order by a.attnum) from pg_catalog.pg_attribute a"
    " where a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped), ''))"
    " from pg_catalog.pg_class c where c.oid = any ($1::oid[])";

bool copier_lock_table(struct copier *copier, const struct table *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = 4096};
    buffer_append_text(&sql, "set local lock_timeout = '1s'; lock table ");
    buffer_append_text(&sql, table->kind == 'p' ? "" : "only ");
    identifier_append_qualified(&sql, slice_of(table->schema), slice_of(table->name));
    buffer_append_text(&sql, " in access share mode; set local lock_timeout = 0");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (session_execute(&copier->source, sql.data, err))
        return true;
    copier->is_locked = strcmp(err->sqlstate, "55P03") == 0;
    if (strcmp(err->sqlstate, "42P01") == 0) /* dropped or renamed */
        err->kind = ERROR_RETRY;
    return false;
}

/* The next attempt reads the definitions again. */
bool copier_check_definition(struct copier *copier, const struct copier_table *known, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16];
    snprintf(oid, sizeof oid, "{%u}", known->table->oid);
    const char *const values[] = {oid};
    if (!session_query(&copier->source, COPIER_DEFINITIONS, 1, values,
                       &(const struct result_shape){"the query for a definition", 0, 1, 2, 0}, &result, err))
        return false;
    if (PQntuples(result) == 1 && known->definition != NULL &&
        strcmp(PQgetvalue(result, 0, 1), known->definition) == 0)
        return true;
    return error_set(err, ERROR_RETRY,
                     "table %s.%s was changed while it was copied; reading its definition again",
                     known->table->schema, known->table->name);
}

/* ---- the snapshot ---- */

lsn_t copier_record_end(const struct copier *copier, lsn_t lsn) {
    return wal_page_record_end(lsn, copier->copiers->wal_page_bytes, copier->copiers->wal_segment_bytes);
}

bool copier_read_snapshot(struct copier *copier, struct xid_snapshot *ret_snapshot, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&copier->source,
                       "select pg_catalog.pg_current_snapshot(), pg_catalog.pg_current_wal_insert_lsn(),"
                       " pg_catalog.pg_is_in_recovery()",
                       0, NULL, &(const struct result_shape){"the query for a snapshot", 1, 1, 3, 0}, &result,
                       err))
        return false;
    free(copier->snapshot);
    copier->snapshot = strdup(PQgetvalue(result, 0, 0));
    copier->read_ms = clock_now_ms();
    if (copier->snapshot == NULL)
        return error_no_memory(err);
    if (!lsn_parse(PQgetvalue(result, 0, 1), &copier->read_lsn) ||
        !xid_snapshot_parse(copier->snapshot, ret_snapshot))
        return error_set(err, ERROR_PROTOCOL, "source: unexpected answer to the query for a snapshot");
    copier->read_lsn = copier_record_end(copier, copier->read_lsn);
    return true;
}

/* table: NULL when the source has no such table any more. */
static bool offer_snapshot(struct copier *copier, const struct copier_table *table, bool *ret_accepted,
                           struct error *err) {
    struct xid_snapshot snapshot = {0};
    *ret_accepted = false;
    if (!session_execute(&copier->source, "begin isolation level repeatable read read only", err) ||
        (table != NULL && !copier_lock_table(copier, table->table, err)) ||
        !copier_read_snapshot(copier, &snapshot, err))
        return false;
    bool good = (table == NULL || copier_check_definition(copier, table, err)) &&
                chunk_map_accept(copier->copiers->map, copier->chunk, &snapshot, ret_accepted, err);
    xid_snapshot_release(&snapshot);
    return good && (*ret_accepted || session_execute(&copier->source, "rollback", err));
}

static void report_wait(const struct copier *copier) {
    log_about(LOG_COPY_WAITS_FOR_COMMIT,
              &(struct log_subject){.sink = copier->sink->config->name,
                                    .schema = copier->chunk->chunk.schema,
                                    .table = copier->chunk->chunk.table},
              "the copy of table %s.%s waits for a transaction that has committed and is not visible "
              "at the source yet (does it wait for a synchronous standby?)",
              copier->chunk->chunk.schema, copier->chunk->chunk.table);
}

bool copier_find_snapshot(struct copier *copier, const struct copier_table *table, struct error *err) {
    int64_t report_ms = clock_now_ms() + REPORT_MS;
    for (;;) {
        bool accepted = false;
        if (!offer_snapshot(copier, table, &accepted, err))
            return false;
        if (accepted)
            return true;
        if (atomic_load_explicit(&copier->copiers->stop, memory_order_relaxed))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (clock_now_ms() >= report_ms) {
            report_wait(copier);
            report_ms = clock_now_ms() + REPORT_MS;
        }
        clock_pause_us(PAUSE_MS * 1000);
    }
}

bool copier_read_flush_lsn(struct copier *copier, lsn_t *ret_lsn, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&copier->source, "select pg_catalog.pg_current_wal_flush_lsn()", 0, NULL,
                       &(const struct result_shape){"the query for the end of its WAL", 1, 1, 1, 0}, &result,
                       err))
        return false;
    return lsn_parse(PQgetvalue(result, 0, 0), ret_lsn) ||
           error_set(err, ERROR_PROTOCOL, "source: unexpected answer to how much of its WAL is flushed");
}

static void raise_lsn(atomic_ullong *lsn, lsn_t to) {
    unsigned long long known = atomic_load(lsn);
    while (known < to && !atomic_compare_exchange_weak(lsn, &known, to))
        continue;
}

/*
 * A transaction that commits asynchronously is visible before its commit is on disk. A crash of the source
 * would undo it, and its xid would be used again. So a chunk that may have seen one is not committed before
 * the source's disk has it. WAL that belongs to no commit may never be flushed on an idle source; one wait
 * serves all chunks that were read while its end was the same.
 */
bool copier_wait_flushed(struct copier *copier, struct error *err) {
    atomic_ullong *known_lsn = &copier->copiers->flushed_lsn;
    const int64_t until_ms =
        copier->read_ms + (int64_t) WAL_WRITER_ROUNDS * copier->copiers->wal_writer_delay_ms + PAUSE_MS;
    int64_t pause_us = FLUSH_PAUSE_MIN_US;
    while (atomic_load(known_lsn) < copier->read_lsn) {
        lsn_t flush_lsn = 0;
        if (clock_now_ms() >= until_ms)
            flush_lsn = copier->read_lsn;
        else if (!copier_read_flush_lsn(copier, &flush_lsn, err))
            return false;
        raise_lsn(known_lsn, flush_lsn);
        if (flush_lsn < copier->read_lsn)
            clock_pause_us(pause_us);
        pause_us = pause_us * 2 < PAUSE_MS * 1000 ? pause_us * 2 : PAUSE_MS * 1000;
    }
    return true;
}
