/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copier.c - copies one chunk after the other.
 *
 * The lock comes before the snapshot, so a chunk is read wholly before or wholly after a change of the
 * table's definition. The snapshot comes before the first row. When it does not see a transaction that it
 * must see, whose commit waits for a synchronous standby, the transaction is repeated until it does.
 */
#include "cdc/copy/copier.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/log.h"
#include "cdc/copy/copy_bytes.h"
#include "cdc/copy/copy_out.h"
#include "cdc/pq/identifier.h"
#include "cdc/pq/lock_wait.h"
#include "cdc/source/catalog_columns.h"
#include "cdc/source/source.h"
#include "cdc/source/wal_page.h"

#define ARENA_BYTES_MAX ((size_t) 16 << 20)

enum {
    BLOCK_BYTES = 16 * 1024,
    PROGRESS_BYTES = 64 * 1024,
    PAUSE_MS = 20,
    PAUSED_STEP_MS = 100, /* how soon the end of a pause is noticed */
    FLUSH_PAUSE_MIN_US = 500,
    REPORT_MS = 5000,
    REPORT_MAX_MS = 60000,
    PUBLISHED_PAUSE_MS = 200,
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

struct copier {
    struct copiers *copiers;
    struct session source;
    struct sink *sink; /* of this copier */
    struct copy_bytes bytes;
    const struct copier_table *prepared; /* the table of the last chunk */
    struct table table;                  /* the same; its columns are in arena */
    struct arena arena;
    enum copy_format format;
    /* Of the current chunk. */
    struct map_chunk *chunk;
    char *snapshot; /* its text */
    lsn_t read_lsn;
    int64_t read_ms; /* when the snapshot was taken */
    bool is_locked;  /* its table is, by another session */
    bool awaits;     /* the sink's table has other columns */
    uint64_t rows;
    uint64_t shown_rows, shown_bytes; /* moved since the progress was told */
    int64_t said_locked_ms;           /* when that was logged last; 0: never */
    int64_t says_awaits_ms;           /* when that is logged next; 0: nothing waits */
};

/* A chunk's rows are found by index, also when statistics are old. */
static bool open_source(struct copier *copier, struct error *err) {
    struct copiers *copiers = copier->copiers;
    return source_open(&copier->source, &copiers->config->source, &copiers->stop, err) &&
           (!copier->sink->ops->takes_bytes || session_take_bytes(&copier->source, err)) &&
           session_execute(&copier->source, "set enable_seqscan = off", err);
}

/* ---- tables ---- */

struct copier_table *copier_find_table(const struct copiers *copiers, oid_t oid) {
    size_t low = 0, high = copiers->tables.count;
    while (low < high) {
        const size_t middle = low + (high - low) / 2;
        const oid_t found = copiers->by_oid[middle].table->oid;
        if (found == oid)
            return &copiers->by_oid[middle];
        if (found < oid)
            low = middle + 1;
        else
            high = middle;
    }
    return NULL;
}

static bool lock_table(struct copier *copier, const struct table *table, struct error *err) {
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
static bool check_definition(struct copier *copier, const struct copier_table *known, struct error *err) {
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

static lsn_t record_end(const struct copier *copier, lsn_t lsn) {
    return wal_page_record_end(lsn, copier->copiers->wal_page_bytes, copier->copiers->wal_segment_bytes);
}

static bool read_snapshot(struct copier *copier, struct xid_snapshot *ret_snapshot, struct error *err) {
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
    copier->read_lsn = record_end(copier, copier->read_lsn);
    return true;
}

/* table: NULL when the source has no such table any more. */
static bool offer_snapshot(struct copier *copier, const struct copier_table *table, bool *ret_accepted,
                           struct error *err) {
    struct xid_snapshot snapshot = {0};
    *ret_accepted = false;
    if (!session_execute(&copier->source, "begin isolation level repeatable read read only", err) ||
        (table != NULL && !lock_table(copier, table->table, err)) || !read_snapshot(copier, &snapshot, err))
        return false;
    bool good = (table == NULL || check_definition(copier, table, err)) &&
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

static bool find_snapshot(struct copier *copier, const struct copier_table *table, struct error *err) {
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

static bool read_flush_lsn(struct copier *copier, lsn_t *ret_lsn, struct error *err) {
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
static bool wait_flushed(struct copier *copier, struct error *err) {
    atomic_ullong *known_lsn = &copier->copiers->flushed_lsn;
    const int64_t until_ms =
        copier->read_ms + (int64_t) WAL_WRITER_ROUNDS * copier->copiers->wal_writer_delay_ms + PAUSE_MS;
    int64_t pause_us = FLUSH_PAUSE_MIN_US;
    while (atomic_load(known_lsn) < copier->read_lsn) {
        lsn_t flush_lsn = 0;
        if (clock_now_ms() >= until_ms)
            flush_lsn = copier->read_lsn;
        else if (!read_flush_lsn(copier, &flush_lsn, err))
            return false;
        raise_lsn(known_lsn, flush_lsn);
        if (flush_lsn < copier->read_lsn)
            clock_pause_us(pause_us);
        pause_us = pause_us * 2 < PAUSE_MS * 1000 ? pause_us * 2 : PAUSE_MS * 1000;
    }
    return true;
}

/* ---- rows ---- */

static void tell_progress(struct copier *copier) {
    struct snapshot_progress *progress = copier->copiers->progress;
    atomic_fetch_add_explicit(&progress->rows, copier->shown_rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&progress->bytes, copier->shown_bytes, memory_order_relaxed);
    atomic_fetch_add_explicit(&copier->chunk->rows, copier->shown_rows, memory_order_relaxed);
    atomic_fetch_add_explicit(&copier->chunk->bytes, copier->shown_bytes, memory_order_relaxed);
    copier->shown_rows = copier->shown_bytes = 0;
}

/* A message is a row, but for the header and the trailer of the binary format. */
static void count_rows(struct copier *copier, uint64_t messages) {
    const uint64_t extra = messages - copier->rows;
    tell_progress(copier);
    atomic_fetch_sub_explicit(&copier->copiers->progress->rows, extra, memory_order_relaxed);
    atomic_fetch_sub_explicit(&copier->chunk->rows, extra, memory_order_relaxed);
}

static void add_row(struct copier *copier, uint64_t bytes) {
    copier->shown_rows++;
    copier->shown_bytes += bytes;
    if (copier->shown_bytes >= PROGRESS_BYTES)
        tell_progress(copier);
}

static bool move_rows(struct copier *copier, struct error *err) {
    for (uint64_t messages = 0;; messages++) {
        struct copy_message message AUTO(copy_out_free) = {0};
        if (!copy_out_next(&copier->source, &message, &copier->rows, err))
            return false;
        if (message.data == NULL) {
            count_rows(copier, messages);
            return copy_bytes_send(&copier->bytes, err);
        }
        if (!copy_bytes_add(&copier->bytes, (struct slice){.data = message.data, .size = message.size}, err))
            return false;
        add_row(copier, message.size);
    }
}

/* The sink notes in the columns how it takes them, so each copier has its own. */
static bool own_table(struct copier *copier, const struct table *table, struct error *err) {
    arena_reset(&copier->arena);
    copier->table = *table;
    copier->table.columns =
        arena_alloc(&copier->arena, (table->column_count + 1) * sizeof *copier->table.columns);
    if (copier->table.columns == NULL)
        return error_no_memory(err);
    memcpy(copier->table.columns, table->columns, table->column_count * sizeof *table->columns);
    return true;
}

/* ---- columns ---- */

/*
 * What the table's columns are at read_lsn. No transaction that alters the table is open, since it is locked,
 * and each that altered it before has its commit in the WAL that is flushed.
 */
static bool read_columns(struct copier *copier, const struct copier_table *known, struct arena *arena,
                         struct catalog_tables *ret_columns, struct error *err) {
    const char *slot = copier->copiers->config->source.slot;
    struct xid_snapshot snapshot = {0};
    lsn_t lsn = 0;
    if (!session_execute(&copier->source, "begin isolation level repeatable read read only", err) ||
        !lock_table(copier, known->table, err) || !read_snapshot(copier, &snapshot, err))
        return false;
    xid_snapshot_release(&snapshot);
    return check_definition(copier, known, err) &&
           catalog_columns_read(&copier->source, slot, known->table->oid, arena, ret_columns, &lsn, err) &&
           wait_flushed(copier, err) && read_flush_lsn(copier, &copier->read_lsn, err) &&
           session_execute(&copier->source, "rollback", err);
}

/* *ret_asked: the runner tells the sink. False: the sink does not follow this table. */
static bool ask_columns(struct copier *copier, const struct copier_table *known, bool *ret_asked,
                        struct error *err) {
    struct awaited_columns *awaited = copier->copiers->awaited;
    struct catalog_tables columns = {0};
    struct arena arena AUTO(arena_release);
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    *ret_asked = true;
    if (awaited_columns_has(awaited, known->table->oid))
        return true;
    if (!read_columns(copier, known, &arena, &columns, err))
        return false;
    *ret_asked = columns.count == 1 && !columns.tables[0].sends_part;
    if (!*ret_asked)
        return true;
    if (!awaited_columns_add(awaited, known->table, &columns.tables[0], record_end(copier, copier->read_lsn),
                             err))
        return false;
    copier->copiers->wake(copier->copiers->context);
    return true;
}

/* Rows are read while the sink's table has the columns that the source's has. */
static bool check_columns(struct copier *copier, const struct copier_table *known, struct error *err) {
    const struct sink_chunk_ops *ops = copier->sink->ops->chunk;
    enum sink_columns answer = COLUMNS_FIT;
    bool asked = false;
    if (copier->copiers->awaited == NULL)
        return true;
    if (!ops->has_columns(copier->sink, known->table, &answer, err))
        return false;
    /* what was told and is not known then is no table for the sink, which says so */
    if (answer == COLUMNS_FIT || (answer == COLUMNS_UNKNOWN &&
                                  awaited_columns_is_told(copier->copiers->awaited, known->table->oid)))
        return true;
    if (!ask_columns(copier, known, &asked, err))
        return false;
    copier->awaits = asked;
    return !asked || error_set(err, ERROR_RETRY, "the sink's table %s.%s has other columns",
                               known->table->schema, known->table->name);
}

static bool prepare(struct copier *copier, const struct copier_table *known, struct error *err) {
    if (copier->prepared == known)
        return true;
    copier->prepared = NULL;
    if (!check_columns(copier, known, err))
        return false;
    copier->says_awaits_ms = 0;
    if (!own_table(copier, known->table, err) ||
        !copier->sink->ops->chunk->prepare(copier->sink, &copier->table, err))
        return false;
    copier->format = copy_bytes_format(copier->sink, &copier->table, copier->copiers->text_only);
    copier->prepared = known;
    return true;
}

static bool copy_rows(struct copier *copier, const struct copier_table *known, const struct chunk *chunk,
                      struct error *err) {
    if (!prepare(copier, known, err) || !find_snapshot(copier, known, err))
        return false;
    FAULT_POINT("chunk-accepted");
    return copier->sink->ops->chunk->begin(copier->sink, &copier->table, chunk, copier->format, err) &&
           copy_out_start(&copier->source, &copier->table, chunk, copier->format, err) &&
           move_rows(copier, err);
}

static bool skip_rows(struct copier *copier, const struct chunk *chunk, struct error *err) {
    log_about(LOG_COPY_LEFT_OUT,
              &(struct log_subject){
                  .sink = copier->sink->config->name, .schema = chunk->schema, .table = chunk->table},
              "table %s.%s is not published any more, so the rest of its copy is left out", chunk->schema,
              chunk->table);
    return find_snapshot(copier, NULL, err);
}

/* ---- tables whose chunks share a snapshot ---- */

static struct copier_share *share_of(const struct copier *copier) {
    return &copier->copiers->shares[copier->chunk->table - copier->copiers->map->tables];
}

static bool export_snapshot(struct copier *copier, struct copier_share *share, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&copier->source, "select pg_catalog.pg_export_snapshot()", 0, NULL,
                       &(const struct result_shape){"the export of a snapshot", 1, 1, 1, 0}, &result, err))
        return false;
    if (snprintf(share->name, sizeof share->name, "%s", PQgetvalue(result, 0, 0)) >= (int) sizeof share->name)
        return error_set(err, ERROR_PROTOCOL, "source: the name of an exported snapshot is too long");
    share->holder = copier->source; /* idle from now on, with the lock on the table */
    copier->source = (struct session){0};
    return open_source(copier, err);
}

/*
 * Takes the snapshot of all chunks of the table, and hands them out. Rows of an interrupted copy, which was
 * of another snapshot, go first.
 */
static bool lead(struct copier *copier, const struct copier_table *known, const struct chunk *chunk,
                 struct error *err) {
    struct copier_share *share = share_of(copier);
    if ((known != NULL && !prepare(copier, known, err)) ||
        (copier->chunk->is_dirty &&
         !copier->sink->ops->chunk->empty(copier->sink, known != NULL ? &copier->table : NULL, chunk, err)))
        return false;
    chunk_map_note_emptied(copier->copiers->map, copier->chunk);
    if (!(known != NULL ? find_snapshot(copier, known, err) : skip_rows(copier, chunk, err)))
        return false;
    FAULT_POINT("chunk-accepted");
    free(share->snapshot);
    share->snapshot = strdup(copier->snapshot);
    share->read_lsn = copier->read_lsn;
    share->read_ms = copier->read_ms;
    if (share->snapshot == NULL)
        return error_no_memory(err);
    if (known != NULL ? !export_snapshot(copier, share, err)
                      : !session_execute(&copier->source, "rollback", err))
        return false;
    chunk_map_open(copier->copiers->map, copier->chunk);
    return true;
}

/* The import is proved. The holder's lock is on the table, so its definition is the one that was checked. */
static bool import_snapshot(struct copier *copier, struct error *err) {
    const struct copier_share *share = share_of(copier);
    struct xid_snapshot snapshot = {0};
    char sql[128];
    snprintf(sql, sizeof sql, "set transaction snapshot '%s'", share->name);
    if (!session_execute(&copier->source, "begin isolation level repeatable read read only", err))
        return false;
    if (share->name[0] != '\0' && !session_execute(&copier->source, sql, err)) {
        err->kind = ERROR_RETRY; /* the holder's session has ended */
        return false;
    }
    if (!read_snapshot(copier, &snapshot, err))
        return false;
    xid_snapshot_release(&snapshot);
    if (share->name[0] != '\0' && strcmp(copier->snapshot, share->snapshot) != 0)
        return error_set(err, ERROR_RETRY, "source: the snapshot of table %s.%s was not imported",
                         copier->chunk->chunk.schema, copier->chunk->chunk.table);
    free(copier->snapshot);
    copier->snapshot = strdup(share->snapshot);
    copier->read_lsn = share->read_lsn;
    copier->read_ms = share->read_ms;
    return copier->snapshot != NULL ? true : error_no_memory(err);
}

static bool copy_shared(struct copier *copier, const struct copier_table *known, const struct chunk *chunk,
                        struct error *err) {
    if (known == NULL)
        return import_snapshot(copier, err);
    const bool is_prepared = prepare(copier, known, err);
    copier->awaits = false; /* other chunks of the snapshot are read already */
    return is_prepared && import_snapshot(copier, err) &&
           copier->sink->ops->chunk->begin(copier->sink, &copier->table, chunk, copier->format, err) &&
           copy_out_start(&copier->source, &copier->table, chunk, copier->format, err) &&
           move_rows(copier, err);
}

/* ---- chunks ---- */

/* The last chunk of a table gets its key. */
static bool find_key(struct copier *copier, struct chunk *chunk, struct error *err) {
    bool is_last = true;
    if (map_table_is_shared(copier->chunk->table) &&
        !chunk_map_find_last(copier->copiers->map, copier->chunk, &is_last, err))
        return false;
    chunk->gets_key = chunk->gets_key && is_last;
    return true;
}

static bool end_chunk(struct copier *copier, const struct copier_table *known, struct chunk *chunk,
                      struct error *err) {
    const struct sink_chunk_ops *ops = copier->sink->ops->chunk;
    chunk->snapshot = copier->snapshot;
    if (!wait_flushed(copier, err) || !session_execute(&copier->source, "rollback", err) ||
        !find_key(copier, chunk, err) ||
        !ops->end(copier->sink, known != NULL ? &copier->table : NULL, chunk, copier->read_lsn, copier->rows,
                  err))
        return false;
    if (copier->copiers->relay != NULL)
        return true; /* the runner has noted it */
    if (!chunk_map_end(copier->copiers->map, copier->chunk))
        return true;
    session_close(&share_of(copier)->holder);
    return known == NULL || ops->table_end(copier->sink, &copier->table, err);
}

static bool is_published(struct copier *copier, oid_t oid, bool *ret_published, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.unnest($1::name[]) p, lateral pg_catalog.pg_get_publication_tables(p::text) t"
        " where t.relid = $2::oid limit 1";
    PGresult *result AUTO_PGRESULT = NULL;
    char text[16];
    snprintf(text, sizeof text, "%u", oid);
    const char *const values[] = {copier->copiers->config->source.publication_array, text};
    if (!session_query(&copier->source, SQL, 2, values,
                       &(const struct result_shape){"the query for a published table", 0, 1, 0, 0}, &result,
                       err))
        return false;
    *ret_published = PQntuples(result) == 1;
    return true;
}

/*
 * The plan of an added table is stored before the table is published, so that no change of it finds the sink
 * without the plan. The next attempt reads its definition.
 */
static bool await_publication(struct copier *copier, const struct chunk *chunk, struct error *err) {
    bool published = false;
    int64_t report_ms = clock_now_ms() + REPORT_MS;
    while (!atomic_load_explicit(&copier->copiers->stop, memory_order_relaxed)) {
        if (!is_published(copier, chunk->relation_oid, &published, err))
            return false;
        if (published)
            return error_set(err, ERROR_RETRY, "table %s.%s was published; reading its definition",
                             chunk->schema, chunk->table);
        if (clock_now_ms() >= report_ms) {
            log_about(LOG_COPY_WAITS_FOR_PUBLICATION,
                      &(struct log_subject){
                          .sink = copier->sink->config->name, .schema = chunk->schema, .table = chunk->table},
                      "the copy of table %s.%s waits until the table is published: run the statement "
                      "that `pgcdc table add` printed, or `pgcdc table remove`",
                      chunk->schema, chunk->table);
            report_ms = clock_now_ms() + REPORT_MAX_MS;
        }
        clock_pause_ms(PUBLISHED_PAUSE_MS);
    }
    return error_set(err, ERROR_STOPPED, "stopped");
}

static void say_awaits(struct copier *copier) {
    const int64_t now_ms = clock_now_ms();
    if (copier->says_awaits_ms == 0)
        copier->says_awaits_ms = now_ms + REPORT_MS;
    if (now_ms < copier->says_awaits_ms)
        return;
    log_line(LOG_COPY_WAITS,
             "sink %s: the copy of table %s.%s waits, and others go on: the stream has yet to come to the "
             "columns that it has now",
             copier->sink->config->name, copier->chunk->chunk.schema, copier->chunk->chunk.table);
    copier->says_awaits_ms = now_ms + REPORT_MAX_MS;
}

static void say_locked(struct copier *copier, const struct error *err) {
    struct error locked = *err;
    if (copier->said_locked_ms == 0 || clock_now_ms() >= copier->said_locked_ms + REPORT_MAX_MS) {
        lock_wait_explain(&copier->source, &locked);
        log_about(LOG_COPY_WAITS,
                  &(struct log_subject){.sink = copier->sink->config->name,
                                        .schema = copier->chunk->chunk.schema,
                                        .table = copier->chunk->chunk.table,
                                        .error = &locked},
                  "the copy of table %s.%s waits, and others go on: %s", copier->chunk->chunk.schema,
                  copier->chunk->chunk.table, locked.text);
        copier->said_locked_ms = clock_now_ms();
    }
}

/*
 * ALTER TABLE and the like may hold a table for long, and the sink's table gets new columns when the stream
 * has come to them. Other tables go on; nothing of the chunk was read yet. False: it is another error.
 */
static bool put_off(struct copier *copier, const struct error *err) {
    struct error ignored = {0};
    if ((!copier->is_locked && !copier->awaits) || !session_execute(&copier->source, "rollback", &ignored))
        return false;
    if (copier->awaits)
        say_awaits(copier);
    else
        say_locked(copier, err);
    chunk_map_put_off(copier->copiers->map, copier->chunk);
    return true;
}

static bool explain_chunk(const struct chunk *chunk, struct error *err) {
    return error_wrap(err, "copying table %s.%s", chunk->schema, chunk->table);
}

static bool copy_chunk(struct copier *copier, struct error *err) {
    struct chunk chunk = copier->chunk->chunk;
    const struct copier_table *known = copier_find_table(copier->copiers, chunk.relation_oid);
    chunk.state = copier->chunk->is_dirty ? CHUNK_DIRTY : CHUNK_WAITS;
    copier->rows = copier->shown_rows = copier->shown_bytes = 0;
    copier->is_locked = copier->awaits = false;
    if (known == NULL && chunk.is_added)
        return await_publication(copier, &chunk, err);
    const bool is_shared = map_table_is_shared(copier->chunk->table);
    if (is_shared && !copier->chunk->table->is_open)
        return lead(copier, known, &chunk, err) || put_off(copier, err) || explain_chunk(&chunk, err);
    bool copied = is_shared       ? copy_shared(copier, known, &chunk, err)
                  : known != NULL ? copy_rows(copier, known, &chunk, err)
                                  : skip_rows(copier, &chunk, err);
    return (copied && end_chunk(copier, known, &chunk, err)) || put_off(copier, err) ||
           explain_chunk(&chunk, err);
}

/*
 * Each transaction that a chunk sees has its commit record before this end of the flushed WAL: the chunk was
 * not committed before that (wait_flushed). What follows may stay unflushed for long on an idle source, and
 * the stream brings only what is flushed.
 */
static bool read_end(struct copier *copier, struct error *err) {
    lsn_t end_lsn = 0;
    if (!read_flush_lsn(copier, &end_lsn, err))
        return false;
    if (end_lsn == 0)
        return error_set(err, ERROR_PROTOCOL, "source: no answer to where its WAL ends");
    chunk_map_set_end(copier->copiers->map, record_end(copier, end_lsn));
    copier->copiers->wake(copier->copiers->context);
    return true;
}

/* ---- the thread ---- */

static bool open_sessions(struct copier *copier, struct error *err) {
    return open_source(copier, err) &&
           copier->sink->ops->chunk->open(copier->sink, copier->copiers->sink, err);
}

static void wait_paused(const struct copiers *copiers) {
    while (copiers->is_paused != NULL && atomic_load(copiers->is_paused) && !atomic_load(&copiers->stop))
        clock_pause_ms(PAUSED_STEP_MS);
}

static bool work(struct copier *copier, struct error *err) {
    for (;;) {
        wait_paused(copier->copiers);
        switch (chunk_map_take(copier->copiers->map, &copier->chunk)) {
        case MAP_WORK_CHUNK:
            if (!copy_chunk(copier, err))
                return false;
            break;
        case MAP_WORK_END:
            if (!read_end(copier, err))
                return false;
            break;
        case MAP_WORK_NONE:
            return true;
        }
    }
}

static void copier_release(struct copier *copier) {
    copier->sink->ops->close(copier->sink);
    sink_free(copier->sink);
    session_close(&copier->source);
    copy_bytes_release(&copier->bytes);
    arena_release(&copier->arena);
    free(copier->snapshot);
}

void *copier_main(void *argument) {
    struct copiers *copiers = argument;
    struct copier copier = {.copiers = copiers};
    struct error error = {0};
    copier.sink = copiers->relay != NULL
                      ? relay_sink_new(copiers->relay, copiers->sink->config, &copiers->stop)
                      : sink_new(copiers->sink->ops, copiers->sink->config, &copiers->stop);
    if (copier.sink == NULL) {
        error_no_memory(&error);
        chunk_map_fail(copiers->map, &error);
        return NULL;
    }
    arena_init(&copier.arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    copy_bytes_init(&copier.bytes, copier.sink);
    if (!open_sessions(&copier, &error) || !work(&copier, &error)) {
        chunk_map_fail(copiers->map, &error);
        copiers->wake(copiers->context);
    }
    copier_release(&copier);
    return NULL;
}
