/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dead_list.c - the statements of commands on pgcdc.dead.
 *
 * Letters that share a key are one matter, also through an update that changes the key: an order among them
 * exists only if all of them are seen. Where a letter has no key, all letters of its table are.
 */
#include "sinks/postgres/dead/dead_list.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/postgres/dead/dead_tables.h"

#define BATCH_LETTERS_SQL "500"
#define BLOCK_BYTES ((size_t) 64 * 1024)
#define BATCH_BYTES_MAX ((size_t) 2 << 30)

#define MINE "pipeline = $1 and sink = $2 and stream = $3"

/* $4: a table's name, with or without quotes, or null; $5: the number of a letter, or null. */
#define FROM_WANTED                                                                                          \
    " with recursive mine as (select * from pgcdc.dead where " MINE                                          \
    "  and ($4::text is null or $4 in (table_schema || '.' || table_name,"                                   \
    "   pg_catalog.quote_ident(table_schema) || '.' || pg_catalog.quote_ident(table_name)))),"               \
    " related (id, relation_schema, relation_name, keys) as ("                                               \
    "  select id, table_schema, table_name, keys from mine where id = $5::bigint"                            \
    "  union select m.id, m.table_schema, m.table_name, m.keys from mine m join related r"                   \
    "   on (m.table_schema, m.table_name) = (r.relation_schema, r.relation_name)"                            \
    "   and (m.keys && r.keys or m.keys = '{}' or r.keys = '{}')),"                                          \
    " wanted as (select * from mine where $5::bigint is null or id in (select id from related))"

#define AT_TEXT "pg_catalog.to_char(at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"')"

#define LETTER_COLUMNS                                                                                       \
    " id, table_schema, table_name, lsn, change, state, coalesce(sqlstate, ''), coalesce(reason, ''),"       \
    " coalesce(remedy, ''), " AT_TEXT

enum { LETTER_FIELDS = 10, LETTER_RECORD = 10 };

static void set_wanted(struct target *target, const struct dead_wanted *wanted, const char **values) {
    values[0] = target->row.pipeline;
    values[1] = target->row.sink;
    values[2] = target->row.stream;
    values[3] = wanted->table;
    values[4] = wanted->id;
}

/* ---- reading ---- */

/* A record as text, in arena. */
static bool take_record(const PGresult *result, int row, int column, struct dead_record_reader *reader,
                        struct arena *arena, struct change *ret_change, struct error *err) {
    size_t size = 0;
    unsigned char *bytes = PQunescapeBytea((const unsigned char *) PQgetvalue(result, row, column), &size);
    if (bytes == NULL)
        return error_no_memory(err);
    const struct slice record = {.data = (const char *) bytes, .size = size};
    const bool read = dead_record_read(reader, record, arena, ret_change, err);
    PQfreemem(bytes);
    return read;
}

struct listing {
    struct dead_record_reader *reader; /* NULL: without values */
    struct arena arena;
    dead_letter_fn *take;
    void *context;
};

static bool list_letter(void *context, const PGresult *row, struct error *err) {
    struct listing *listing = context;
    struct change change;
    struct dead_letter letter = {.id = PQgetvalue(row, 0, 0),
                                 .schema = PQgetvalue(row, 0, 1),
                                 .table = PQgetvalue(row, 0, 2),
                                 .lsn = PQgetvalue(row, 0, 3),
                                 .change = PQgetvalue(row, 0, 4),
                                 .failed = strcmp(PQgetvalue(row, 0, 5), "failed") == 0,
                                 .sqlstate = PQgetvalue(row, 0, 6),
                                 .reason = PQgetvalue(row, 0, 7),
                                 .remedy = PQgetvalue(row, 0, 8),
                                 .at = PQgetvalue(row, 0, 9)};
    arena_reset(&listing->arena);
    if (listing->reader != NULL) {
        if (!take_record(row, 0, LETTER_RECORD, listing->reader, &listing->arena, &change, err))
            return false;
        letter.row = &change;
    }
    return listing->take(listing->context, &letter, err);
}

bool dead_list_read(struct target *target, const struct dead_wanted *wanted,
                    struct dead_record_reader *reader, dead_letter_fn *take, void *context,
                    struct error *err) {
    static const char PLAIN[] = FROM_WANTED " select" LETTER_COLUMNS ", ''"
                                            " from wanted order by lsn, change, id";
    static const char WITH_VALUES[] = FROM_WANTED " select" LETTER_COLUMNS ", record"
                                                  " from wanted order by lsn, change, id";
    static const struct result_shape SHAPE = {"the list of dead letters", 0, RESULT_ROWS_ANY,
                                              LETTER_FIELDS + 1, 0};
    const char *values[5];
    struct listing listing = {
        .reader = wanted->with_values ? reader : NULL, .take = take, .context = context};
    arena_init(&listing.arena, BLOCK_BYTES, BATCH_BYTES_MAX);
    set_wanted(target, wanted, values);
    const bool read = session_query_rows(&target->session, wanted->with_values ? WITH_VALUES : PLAIN, 5,
                                         values, &SHAPE, list_letter, &listing, err);
    arena_release(&listing.arena);
    return read;
}

struct skipped_listing {
    dead_skipped_fn *take;
    void *context;
};

static bool list_skipped_letter(void *context, const PGresult *row, struct error *err) {
    const struct skipped_listing *listing = context;
    const struct dead_skipped skipped = {.id = PQgetvalue(row, 0, 0),
                                         .schema = PQgetvalue(row, 0, 1),
                                         .table = PQgetvalue(row, 0, 2),
                                         .lsn = PQgetvalue(row, 0, 3),
                                         .change = PQgetvalue(row, 0, 4),
                                         .reason = PQgetvalue(row, 0, 5),
                                         .done_by = PQgetvalue(row, 0, 6),
                                         .at = PQgetvalue(row, 0, 7)};
    return listing->take(listing->context, &skipped, err);
}

bool dead_list_read_skipped(struct target *target, dead_skipped_fn *take, void *context, struct error *err) {
    static const char SQL[] =
        "select letter, table_schema, table_name, lsn, change, coalesce(reason, ''),"
        " done_by, " AT_TEXT " from pgcdc.dead_log where " MINE " and action = 'skipped' order by id";
    static const struct result_shape SHAPE = {"the list of skipped letters", 0, RESULT_ROWS_ANY, 8, 0};
    const char *const values[] = {target->row.pipeline, target->row.sink, target->row.stream};
    struct skipped_listing listing = {.take = take, .context = context};
    return session_query_rows(&target->session, SQL, 3, values, &SHAPE, list_skipped_letter, &listing, err);
}

static bool no_letter(struct target *target, const struct dead_wanted *wanted, struct error *err) {
    error_set(err, ERROR_CONFIG, "sink %s has no dead letter %s", target->row.sink, wanted->id);
    return error_remedy(err, "`pgcdc dead list` shows those that are there");
}

bool dead_list_find(struct target *target, const struct dead_wanted *wanted, struct error *err) {
    static const char SQL[] = FROM_WANTED " select from wanted limit 1";
    const char *values[5];
    PGresult *result AUTO_PGRESULT = NULL;
    set_wanted(target, wanted, values);
    if (wanted->id == NULL)
        return true;
    if (!session_query(&target->session, SQL, 5, values,
                       &(const struct result_shape){"the query for a dead letter", 0, 1, 0, 0}, &result, err))
        return false;
    return PQntuples(result) == 1 || no_letter(target, wanted, err);
}

bool dead_list_count(struct target *target, const struct dead_wanted *wanted, struct dead_result *ret_result,
                     struct error *err) {
    static const char SQL[] = FROM_WANTED " select pg_catalog.count(*) filter (where state = 'failed'),"
                                          " pg_catalog.count(*) filter (where state <> 'failed') from wanted";
    const char *values[5];
    PGresult *result AUTO_PGRESULT = NULL;
    set_wanted(target, wanted, values);
    if (!session_query(&target->session, SQL, 5, values,
                       &(const struct result_shape){"the count of dead letters", 1, 1, 2, 0}, &result, err))
        return false;
    ret_result->failed = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    ret_result->waiting = strtoull(PQgetvalue(result, 0, 1), NULL, 10);
    return true;
}

/* ---- a transaction ---- */

bool dead_list_begin(struct target *target, struct error *err) {
    static const char SQL[] = "select from pgcdc.position where " MINE " for update";
    const char *const values[] = {target->row.pipeline, target->row.sink, target->row.stream};
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_execute(&target->session, "begin isolation level read committed", err) ||
        !session_query(&target->session, SQL, 3, values,
                       &(const struct result_shape){"the lock of the position", 0, 1, 0, 0}, &result, err))
        return false;
    if (PQntuples(result) == 0)
        return error_set(err, ERROR_CONFIG, "sink %s has no position in pgcdc.position", target->row.sink);
    target->in_transaction = true;
    target->transaction_count++;
    return target->replica_role || session_execute(&target->session, "set constraints all deferred", err);
}

/* ---- a batch ---- */

void dead_batch_init(struct dead_batch *batch) {
    *batch = (struct dead_batch){.after_lsn = "0/0", .after_change = "-1", .after_id = "0"};
    arena_init(&batch->arena, BLOCK_BYTES, BATCH_BYTES_MAX);
}

void dead_batch_release(struct dead_batch *batch) {
    arena_release(&batch->arena);
}

static bool take_letters(struct dead_batch *batch, const PGresult *result, struct dead_record_reader *reader,
                         struct error *err) {
    const int count = PQntuples(result);
    batch->changes = arena_alloc(&batch->arena, ((size_t) count + 1) * sizeof *batch->changes);
    batch->ids = arena_alloc(&batch->arena, ((size_t) count + 1) * sizeof *batch->ids);
    batch->stays = arena_alloc_zero(&batch->arena, ((size_t) count + 1) * sizeof *batch->stays);
    if (batch->changes == NULL || batch->ids == NULL || batch->stays == NULL)
        return error_no_memory(err);
    for (int row = 0; row < count; row++) {
        batch->ids[row] = arena_copy(&batch->arena, slice_of(PQgetvalue(result, row, 0)));
        if (batch->ids[row] == NULL)
            return error_no_memory(err);
        if (!take_record(result, row, 3, reader, &batch->arena, &batch->changes[row], err))
            return false;
    }
    batch->count = (size_t) count;
    if (count == 0)
        return true;
    snprintf(batch->after_id, sizeof batch->after_id, "%s", PQgetvalue(result, count - 1, 0));
    snprintf(batch->after_lsn, sizeof batch->after_lsn, "%s", PQgetvalue(result, count - 1, 1));
    snprintf(batch->after_change, sizeof batch->after_change, "%s", PQgetvalue(result, count - 1, 2));
    return true;
}

bool dead_batch_read(struct dead_batch *batch, struct target *target, const struct dead_wanted *wanted,
                     struct dead_record_reader *reader, struct error *err) {
    static const char SQL[] =
        FROM_WANTED " select id, lsn, change, record from wanted"
                    " where (lsn, change, id) > ($6::pg_catalog.pg_lsn, $7::bigint, $8::bigint)"
                    " order by lsn, change, id limit case when $5 is null then " BATCH_LETTERS_SQL " end";
    static const struct result_shape SHAPE = {"the query for dead letters", 0, RESULT_ROWS_ANY, 4, 0};
    const char *values[8];
    PGresult *result AUTO_PGRESULT = NULL;
    set_wanted(target, wanted, values);
    values[5] = batch->after_lsn;
    values[6] = batch->after_change;
    values[7] = batch->after_id;
    arena_reset(&batch->arena);
    return session_query(&target->session, SQL, 8, values, &SHAPE, &result, err) &&
           take_letters(batch, result, reader, err);
}

#define LOG_GONE                                                                                             \
    " logged as (insert into pgcdc.dead_log (pipeline, sink, stream, action, letter, lsn, change,"           \
    "  table_schema, table_name, reason, done_by) select pipeline, sink, stream, "

#define COUNT_LOGGED " from gone returning 1) select pg_catalog.count(*) from logged"

static bool count_gone(struct target *target, const char *sql, int count, const char *const *values,
                       uint64_t *ret_count, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_query(&target->session, sql, count, values,
                       &(const struct result_shape){"the removal of dead letters", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_count = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

bool dead_batch_settle(const struct dead_batch *batch, struct target *target, const char *done_by,
                       uint64_t *ret_count, struct error *err) {
    static const char SQL[] = "with gone as (delete from pgcdc.dead where " MINE
                              " and id = any ($4::bigint[]) returning *)," LOG_GONE
                              "'retried', id, lsn, change, table_schema, table_name, null, $5" COUNT_LOGGED;
    struct buffer ids AUTO(buffer_release) = {.bytes_max = BATCH_BYTES_MAX};
    for (size_t i = 0; i < batch->count; i++)
        if (!batch->stays[i])
            buffer_printf(&ids, "%s%s", ids.size == 0 ? "{" : ",", batch->ids[i]);
    *ret_count = 0;
    if (ids.size == 0)
        return true;
    buffer_append_text(&ids, "}");
    if (buffer_text(&ids) == NULL)
        return error_no_memory(err);
    const char *const values[] = {target->row.pipeline, target->row.sink, target->row.stream, ids.data,
                                  done_by};
    return count_gone(target, SQL, 5, values, ret_count, err);
}

bool dead_list_skip(struct target *target, const struct dead_wanted *wanted, bool with_waiting,
                    const char *reason, const char *done_by, uint64_t *ret_count, struct error *err) {
    static const char SQL[] =
        FROM_WANTED ", place as (select lsn, change, id from mine where id = $5::bigint),"
                    " gone as (delete from pgcdc.dead d using wanted w, place p"
                    "  where d.pipeline = $1 and d.sink = $2 and d.stream = $3 and d.id = w.id"
                    "  and (w.id = p.id or ($8 and (w.lsn, w.change, w.id) > (p.lsn, p.change, p.id)))"
                    "  returning d.*)," LOG_GONE
                    "'skipped', id, lsn, change, table_schema, table_name, $6::text, $7::text" COUNT_LOGGED;
    const char *values[8];
    set_wanted(target, wanted, values);
    values[5] = reason;
    values[6] = done_by;
    values[7] = with_waiting ? "true" : "false";
    if (!count_gone(target, SQL, 8, values, ret_count, err))
        return false;
    return *ret_count > 0 || no_letter(target, wanted, err);
}
