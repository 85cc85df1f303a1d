/* SPDX-License-Identifier: Apache-2.0 */
/*
 * plan_rows.c - the statements on the plan's tables.
 */
#include "sinks/postgres/copy/plan_rows.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/catalog/own_rows.h"
#include "sinks/postgres/copy/late_key.h"
#include "sinks/postgres/target/own_tables.h"

#define SQL_BYTES_MAX ((size_t) 64 << 20)
#define NUMBER_TEXT_MAX 24

enum { CHUNKS_A_STATEMENT = 1000 };

/* The advisory lock of pgcdc.position serializes engines that create the tables at the same time. */
static const char CREATE[] =
    "select pg_catalog.pg_advisory_xact_lock(7165065, 1);"
    " create table if not exists pgcdc.copy (pipeline text, sink text, stream text,"
    " layout smallint not null default 1, epoch bigint not null, snapshot text not null,"
    " started_at timestamptz not null, primary key (pipeline, sink, stream));"
    " create table if not exists pgcdc.chunk (pipeline text, sink text, stream text, id bigint,"
    " relation_oid oid not null, schema_name text not null, table_name text not null, method text not null,"
    " column_name text, column_type oid not null, key_type oid not null, order_sql text, low text, high text,"
    " bytes_estimate bigint not null, state text not null, is_added boolean not null default false,"
    " key_sql text,"
    " snapshot text, read_lsn pg_lsn, rows bigint, copied_at timestamptz,"
    " primary key (pipeline, sink, stream, id));"
    " create table if not exists pgcdc.chunk_seen (pipeline text, sink text, stream text,"
    " last_xid bigint not null, xids bigint[] not null)";

static const struct own_tables TABLES = {.names = "{copy,chunk,chunk_seen}",
                                         .count = 3,
                                         .create_sql = CREATE,
                                         .purpose = "the plan of a copy in chunks is stored in schema pgcdc",
                                         .otherwise = ", or set copy.mode to simple"};

static const char INSERT_COPY[] =
    "insert into pgcdc.copy (pipeline, sink, stream, epoch, snapshot, started_at)"
    " values ($1, $2, $3, $4, $5, pg_catalog.clock_timestamp())";

/* An older build knows no plan and would apply changes that a chunk contains: layout 3 stops it. */
static const char MARK_POSITION[] = "update pgcdc.position set layout = $4 where pipeline = $1 and sink = $2"
                                    " and stream = $3";

static const char TAKE_OVER[] = "update pgcdc.copy set epoch = $4 where pipeline = $1 and sink = $2"
                                " and stream = $3 returning snapshot, layout";

static const char READ_CHUNKS[] =
    "select id, relation_oid, schema_name, table_name, column_name, column_type, low, high, bytes_estimate,"
    " state, snapshot, read_lsn, is_added, method, key_type, order_sql, key_sql is not null, "
    "coalesce(rows, 0) from "
    "pgcdc.chunk"
    " where pipeline = $1 and sink = $2 and stream = $3 order by id";

static const char READ_SEEN[] = "select pg_catalog.unnest(xids) from pgcdc.chunk_seen"
                                " where pipeline = $1 and sink = $2 and stream = $3";

static const char SHARE_FENCE[] =
    "select 1 / pg_catalog.count(*) from (select from pgcdc.copy"
    " where pipeline = $1 and sink = $2 and stream = $3 and epoch = $4 for share) fence";

static const char LOCK_CHUNK[] =
    "select 1 / pg_catalog.count(*) from (select from pgcdc.chunk where pipeline = $1 and sink = $2"
    " and stream = $3 and id = $4 and state <> 'copied' for update) locked";

static const char END_CHUNK[] =
    "with ended as (update pgcdc.chunk set state = 'copied', snapshot = $5, read_lsn = $6, rows = $7,"
    " copied_at = pg_catalog.clock_timestamp() where pipeline = $1 and sink = $2 and stream = $3 and id = $4"
    " returning 1) select 1 / pg_catalog.count(*) from ended";

static const char *const METHODS[] = {[CHUNK_WHOLE] = "whole",
                                      [CHUNK_BY_KEY] = "key",
                                      [CHUNK_BY_SOURCE] = "source",
                                      [CHUNK_BY_PAGES] = "pages"};
static const char *const STATES[] = {
    [CHUNK_WAITS] = "waits", [CHUNK_DIRTY] = "dirty", [CHUNK_COPIED] = "copied"};

static const char RESTART_TABLE[] = "update pgcdc.chunk set state = 'waits', snapshot = null,"
                                    " read_lsn = null, rows = null, copied_at = null";

enum { LAYOUT = 1, POSITION_LAYOUT = 2, POSITION_LAYOUT_COPYING = 3 };

static void set_copy(const struct target *target, const char **values) {
    values[0] = target->row.pipeline;
    values[1] = target->row.sink;
    values[2] = target->row.stream;
}

/* ---- storing ---- */

static void append_text(struct buffer *sql, const char *text) {
    buffer_append_text(sql, ", ");
    if (text == NULL)
        buffer_append_text(sql, "null");
    else
        literal_append(sql, slice_of(text));
}

static void append_copy(struct buffer *sql, const struct target *target) {
    literal_append(sql, slice_of(target->row.pipeline));
    append_text(sql, target->row.sink);
    append_text(sql, target->row.stream);
}

static void append_chunk(struct buffer *sql, const struct target *target, const struct chunk *chunk) {
    buffer_append_text(sql, "(");
    append_copy(sql, target);
    buffer_printf(sql, ", %u, %u", chunk->id, chunk->relation_oid);
    append_text(sql, chunk->schema);
    append_text(sql, chunk->table);
    append_text(sql, METHODS[chunk->method]);
    append_text(sql, chunk->column);
    buffer_printf(sql, ", %u, %u", chunk->column_type, chunk->key_type);
    append_text(sql, chunk->order_sql);
    append_text(sql, chunk->low);
    append_text(sql, chunk->high);
    buffer_printf(sql, ", %" PRIu64 ", '%s', %s", chunk->bytes_estimate, STATES[chunk->state],
                  chunk->is_added ? "true" : "false");
    append_text(sql, chunk->snapshot);
    buffer_append_text(sql, ")");
}

static bool insert_chunks(struct target *target, const struct chunk *chunks, size_t count,
                          struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "insert into pgcdc.chunk (pipeline, sink, stream, id, relation_oid, schema_name,"
                             " table_name, method, column_name, column_type, key_type, order_sql, low, high,"
                             " bytes_estimate, state, is_added, snapshot) values ");
    for (size_t i = 0; i < count; i++) {
        buffer_append_text(&sql, i > 0 ? ", " : "");
        append_chunk(&sql, target, &chunks[i]);
    }
    return buffer_text(&sql) != NULL ? session_execute(&target->session, sql.data, err)
                                     : error_no_memory(err);
}

static bool mark_position(struct target *target, int layout, struct error *err) {
    char number[NUMBER_TEXT_MAX];
    const char *values[4];
    set_copy(target, values);
    snprintf(number, sizeof number, "%d", layout);
    values[3] = number;
    return session_query(&target->session, MARK_POSITION, 4, values, NULL, NULL, err);
}

bool plan_rows_store(struct target *target, const struct chunk_plan *plan, struct error *err) {
    char epoch[NUMBER_TEXT_MAX];
    const char *values[5];
    set_copy(target, values);
    snprintf(epoch, sizeof epoch, "%" PRId64, target->row.epoch);
    values[3] = epoch;
    values[4] = plan->snapshot;
    if (!own_tables_need(&target->session, &TABLES, err) ||
        !session_query(&target->session, INSERT_COPY, 5, values, NULL, NULL, err))
        return false;
    for (size_t first = 0; first < plan->count; first += CHUNKS_A_STATEMENT) {
        const size_t left = plan->count - first;
        if (!insert_chunks(target, plan->chunks + first,
                           left < CHUNKS_A_STATEMENT ? left : CHUNKS_A_STATEMENT, err))
            return false;
    }
    /* a plan has the source's names, by which late_key.c would look for tables */
    const bool has_other_names = target->sink.config->mapping != NULL;
    return (has_other_names || late_key_plan(target, err)) &&
           mark_position(target, POSITION_LAYOUT_COPYING, err);
}

/* ---- adding ---- */

/* The row of the copy is new, or locked by this: an engine's removal of the plan waits or has ended. */
static bool ensure_copy(struct target *target, struct error *err) {
    static const char SQL[] =
        "insert into pgcdc.copy as c (pipeline, sink, stream, epoch, snapshot, started_at)"
        " values ($1, $2, $3, 0, $4, pg_catalog.clock_timestamp())"
        " on conflict (pipeline, sink, stream) do update set started_at = c.started_at";
    const char *values[4];
    set_copy(target, values);
    values[3] = CHUNK_SNAPSHOT_OF_NONE;
    return session_query(&target->session, SQL, 4, values, NULL, NULL, err);
}

static bool read_last_id(struct target *target, uint32_t *ret_id, struct error *err) {
    static const char SQL[] = "select coalesce(pg_catalog.max(id), 0) from pgcdc.chunk"
                              " where pipeline = $1 and sink = $2 and stream = $3";
    PGresult *result AUTO_PGRESULT = NULL;
    const char *values[3];
    set_copy(target, values);
    if (!session_query(&target->session, SQL, 3, values,
                       &(const struct result_shape){"the query for the last chunk", 1, 1, 1, 0}, &result,
                       err))
        return false;
    *ret_id = (uint32_t) strtoul(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

bool plan_rows_add(struct target *target, struct chunk *chunks, size_t count, struct error *err) {
    uint32_t last_id = 0;
    if (!ensure_copy(target, err) || !read_last_id(target, &last_id, err))
        return false;
    for (size_t i = 0; i < count; i++)
        chunks[i].id = ++last_id;
    for (size_t first = 0; first < count; first += CHUNKS_A_STATEMENT) {
        const size_t left = count - first;
        if (!insert_chunks(target, chunks + first, left < CHUNKS_A_STATEMENT ? left : CHUNKS_A_STATEMENT,
                           err))
            return false;
    }
    return mark_position(target, POSITION_LAYOUT_COPYING, err);
}

bool plan_rows_prepare_add(struct target *target, struct error *err) {
    return own_tables_need(&target->session, &TABLES, err);
}

bool plan_rows_remove(struct target *target, oid_t relation_oid, struct error *err) {
    static const char SQL[] = "delete from pgcdc.chunk where pipeline = $1 and sink = $2 and stream = $3"
                              " and relation_oid = $4::oid";
    char oid[NUMBER_TEXT_MAX];
    const char *values[4];
    bool exist = false;
    set_copy(target, values);
    snprintf(oid, sizeof oid, "%u", relation_oid);
    values[3] = oid;
    return own_tables_exist(&target->session, &TABLES, &exist, err) &&
           (!exist || (session_execute(&target->session, "begin isolation level read committed", err) &&
                       late_key_restore(&target->session, values[0], values[1], relation_oid, err) &&
                       session_query(&target->session, SQL, 4, values, NULL, NULL, err) &&
                       session_execute(&target->session, "commit", err)));
}

/* ---- loading ---- */

static bool refuse_rows(struct error *err) {
    return error_set(err, ERROR_CONFIG, "target: pgcdc.chunk is not the table that pgcdc creates");
}

static const char *take_text(struct arena *arena, const PGresult *result, int row, int column) {
    return PQgetisnull(result, row, column) != 0
               ? NULL
               : arena_copy(arena, slice_of(PQgetvalue(result, row, column)));
}

/* Its place in words, or count. */
static size_t find_word(const char *text, const char *const *words, size_t count) {
    size_t i = 0;
    while (i < count && strcmp(text, words[i]) != 0)
        i++;
    return i;
}

static bool read_chunk(struct arena *arena, const PGresult *result, int row, struct chunk *ret_chunk,
                       struct error *err) {
    const size_t state_count = sizeof STATES / sizeof *STATES,
                 method_count = sizeof METHODS / sizeof *METHODS;
    const size_t state = find_word(PQgetvalue(result, row, 9), STATES, state_count);
    const size_t method = find_word(PQgetvalue(result, row, 13), METHODS, method_count);
    *ret_chunk = (struct chunk){
        .id = (uint32_t) strtoul(PQgetvalue(result, row, 0), NULL, 10),
        .relation_oid = (oid_t) strtoul(PQgetvalue(result, row, 1), NULL, 10),
        .schema = take_text(arena, result, row, 2),
        .table = take_text(arena, result, row, 3),
        .method = (enum chunk_method) method,
        .state = (enum chunk_state) state,
        .column = take_text(arena, result, row, 4),
        .column_type = (oid_t) strtoul(PQgetvalue(result, row, 5), NULL, 10),
        .low = take_text(arena, result, row, 6),
        .high = take_text(arena, result, row, 7),
        .bytes_estimate = strtoull(PQgetvalue(result, row, 8), NULL, 10),
        .snapshot = take_text(arena, result, row, 10),
        .is_added = PQgetvalue(result, row, 12)[0] == 't',
        .key_type = (oid_t) strtoul(PQgetvalue(result, row, 14), NULL, 10),
        .order_sql = take_text(arena, result, row, 15),
        .gets_key = PQgetvalue(result, row, 16)[0] == 't',
        .rows = strtoull(PQgetvalue(result, row, 17), NULL, 10),
    };
    if (state == state_count || method == method_count ||
        (method != CHUNK_WHOLE && (ret_chunk->column == NULL || ret_chunk->order_sql == NULL)))
        return refuse_rows(err);
    return ret_chunk->schema != NULL && ret_chunk->table != NULL ? true : error_no_memory(err);
}

static bool read_chunks(struct target *target, struct arena *arena, struct chunk_plan *plan,
                        struct error *err) {
    static const struct result_shape SHAPE = {"the query for chunks", 0, RESULT_ROWS_ANY, 18,
                                              RESULT_NULL_ANYWHERE};
    PGresult *result AUTO_PGRESULT = NULL;
    const char *values[3];
    set_copy(target, values);
    if (!session_query(&target->session, READ_CHUNKS, 3, values, &SHAPE, &result, err))
        return false;
    const int count = PQntuples(result);
    struct chunk *chunks = arena_alloc_zero(arena, ((size_t) count + 1) * sizeof *chunks);
    if (chunks == NULL)
        return error_no_memory(err);
    for (int row = 0; row < count; row++) {
        lsn_t read_lsn = 0;
        if (!read_chunk(arena, result, row, &chunks[row], err))
            return false;
        if (PQgetisnull(result, row, 11) == 0 && !lsn_parse(PQgetvalue(result, row, 11), &read_lsn))
            return refuse_rows(err);
        if (read_lsn > plan->read_lsn)
            plan->read_lsn = read_lsn;
    }
    plan->chunks = chunks;
    plan->count = (size_t) count;
    return true;
}

static bool read_seen(struct target *target, struct arena *arena, struct chunk_plan *plan,
                      struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    const char *values[3];
    set_copy(target, values);
    if (!session_query(
            &target->session, READ_SEEN, 3, values,
            &(const struct result_shape){"the query for streamed transactions", 0, RESULT_ROWS_ANY, 1, 0},
            &result, err))
        return false;
    plan->seen_count = (size_t) PQntuples(result);
    uint64_t *seen = arena_alloc(arena, (plan->seen_count + 1) * sizeof *seen);
    if (seen == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < plan->seen_count; i++)
        seen[i] = strtoull(PQgetvalue(result, (int) i, 0), NULL, 10);
    plan->seen = seen;
    return true;
}

static bool take_over(struct target *target, struct arena *arena, struct chunk_plan *plan,
                      struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    char epoch[NUMBER_TEXT_MAX];
    const char *values[4];
    set_copy(target, values);
    snprintf(epoch, sizeof epoch, "%" PRId64, target->row.epoch);
    values[3] = epoch;
    if (!session_query(&target->session, TAKE_OVER, 4, values,
                       &(const struct result_shape){"the claim of the copy's plan", 0, 1, 2, 0}, &result,
                       err))
        return false;
    if (PQntuples(result) == 0)
        return true;
    if (strtol(PQgetvalue(result, 0, 1), NULL, 10) > LAYOUT) {
        error_set(err, ERROR_CONFIG, "target: pgcdc.copy has a layout that this build does not know");
        return error_remedy(err, "run the newer pgcdc that has worked with this target");
    }
    plan->snapshot = take_text(arena, result, 0, 0);
    return plan->snapshot != NULL ? true : error_no_memory(err);
}

bool plan_rows_load(struct target *target, struct arena *arena, struct chunk_plan *ret_plan,
                    struct error *err) {
    bool exist = false;
    *ret_plan = (struct chunk_plan){0};
    if (!own_tables_exist(&target->session, &TABLES, &exist, err))
        return false;
    if (!exist)
        return true;
    FAULT_POINT("plan-before-take-over");
    if (!take_over(target, arena, ret_plan, err))
        return false;
    return ret_plan->snapshot == NULL ||
           (read_chunks(target, arena, ret_plan, err) && read_seen(target, arena, ret_plan, err));
}

bool plan_rows_look(struct target *target, struct arena *arena, struct chunk_plan *ret_plan,
                    struct error *err) {
    bool exist = false;
    *ret_plan = (struct chunk_plan){0};
    return own_tables_exist(&target->session, &TABLES, &exist, err) &&
           (!exist || read_chunks(target, arena, ret_plan, err));
}

/* ---- the runner's note ---- */

static void append_where(struct buffer *sql, const struct target *target) {
    buffer_append_text(sql, " where pipeline = ");
    literal_append(sql, slice_of(target->row.pipeline));
    buffer_append_text(sql, " and sink = ");
    literal_append(sql, slice_of(target->row.sink));
    buffer_append_text(sql, " and stream = ");
    literal_append(sql, slice_of(target->row.stream));
}

static bool send_sql(struct pq_pipeline *pipeline, struct buffer *sql, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    if (buffer_text(sql) == NULL)
        return error_no_memory(err);
    bool sent = pq_pipeline_query(pipeline, sql->data, ANY, err);
    buffer_reset(sql);
    return sent;
}

static bool send_seen(const struct target *target, struct pq_pipeline *pipeline, struct buffer *sql,
                      const struct chunk_note *note, struct error *err) {
    uint64_t last = 0;
    if (note->seen_count == 0)
        return true;
    for (size_t i = 0; i < note->seen_count; i++)
        last = note->seen[i] > last ? note->seen[i] : last;
    buffer_append_text(sql, "insert into pgcdc.chunk_seen (pipeline, sink, stream, last_xid, xids) values (");
    append_copy(sql, target);
    buffer_printf(sql, ", %" PRIu64 ", '{", last);
    for (size_t i = 0; i < note->seen_count; i++)
        buffer_printf(sql, i > 0 ? ",%" PRIu64 : "%" PRIu64, note->seen[i]);
    buffer_append_text(sql, "}')");
    if (!send_sql(pipeline, sql, err))
        return false;
    buffer_append_text(sql, "delete from pgcdc.chunk_seen");
    append_where(sql, target);
    buffer_printf(sql, " and last_xid < %" PRIu64, note->seen_below);
    return send_sql(pipeline, sql, err);
}

static bool send_dirty(const struct target *target, struct pq_pipeline *pipeline, struct buffer *sql,
                       const struct chunk_note *note, struct error *err) {
    if (note->dirty_count == 0)
        return true;
    buffer_append_text(sql, "update pgcdc.chunk set state = 'dirty', snapshot = null, rows = null");
    append_where(sql, target);
    buffer_append_text(sql, " and id = any ('{");
    for (size_t i = 0; i < note->dirty_count; i++)
        buffer_printf(sql, i > 0 ? ",%u" : "%u", note->dirty[i]);
    buffer_append_text(sql, "}')");
    return send_sql(pipeline, sql, err);
}

/* The rows of a table go, and its chunks wait again. */
static bool send_emptied(const struct target *target, struct pq_pipeline *pipeline, struct buffer *sql,
                         const struct chunk_note *note, struct error *err) {
    for (size_t i = 0; i < note->emptied_count; i++) {
        const struct chunk *chunk = note->emptied[i];
        own_rows_append_delete(sql, chunk->schema, chunk->table, chunk->owned_sql);
        if (!send_sql(pipeline, sql, err))
            return false;
        buffer_append_text(sql, RESTART_TABLE);
        append_where(sql, target);
        buffer_printf(sql, " and relation_oid = %u", chunk->relation_oid);
        if (!send_sql(pipeline, sql, err))
            return false;
    }
    return true;
}

/*
 * Chunks that a command has added since the plan was read stay, and then the copy does too. The row of the
 * copy is locked first, so that the next statement sees what the command has committed.
 */
static bool send_removal(const struct target *target, struct pq_pipeline *pipeline, struct buffer *sql,
                         uint32_t last_id, struct error *err) {
    buffer_append_text(sql, "select from pgcdc.copy");
    append_where(sql, target);
    buffer_append_text(sql, " for update");
    if (!send_sql(pipeline, sql, err))
        return false;
    buffer_append_text(sql, "delete from pgcdc.chunk");
    append_where(sql, target);
    buffer_printf(sql, " and id <= %u", last_id);
    if (!send_sql(pipeline, sql, err))
        return false;
    buffer_append_text(sql, "delete from pgcdc.chunk_seen");
    append_where(sql, target);
    if (!send_sql(pipeline, sql, err))
        return false;
    buffer_append_text(sql, "delete from pgcdc.copy c");
    append_where(sql, target);
    buffer_append_text(sql, " and not exists (select from pgcdc.chunk o where o.pipeline = c.pipeline"
                            " and o.sink = c.sink and o.stream = c.stream)");
    if (!send_sql(pipeline, sql, err))
        return false;
    buffer_printf(sql, "update pgcdc.position p set layout = %d", POSITION_LAYOUT);
    append_where(sql, target);
    buffer_append_text(sql, " and not exists (select from pgcdc.copy c where c.pipeline = p.pipeline"
                            " and c.sink = p.sink and c.stream = p.stream)");
    return send_sql(pipeline, sql, err);
}

bool plan_rows_send_note(const struct target *target, struct pq_pipeline *pipeline,
                         const struct chunk_note *note, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (note->is_finished)
        return send_removal(target, pipeline, &sql, note->last_id, err);
    return send_seen(target, pipeline, &sql, note, err) && send_dirty(target, pipeline, &sql, note, err) &&
           send_emptied(target, pipeline, &sql, note, err);
}

/* ---- copiers ---- */

static bool judge(const struct target *target, struct error *err) {
    if (strcmp(err->sqlstate, DIVISION_BY_ZERO) != 0)
        return false;
    return error_set(
        err, ERROR_REFUSE,
        "target: another engine has taken over the copy of pipeline %s, sink %s (or pgcdc.copy was "
        "changed); run only one",
        target->row.pipeline, target->row.sink);
}

static bool share_fence(struct target *target, struct error *err) {
    char epoch[NUMBER_TEXT_MAX];
    const char *values[4];
    set_copy(target, values);
    snprintf(epoch, sizeof epoch, "%" PRId64, target->row.epoch);
    values[3] = epoch;
    return session_query(&target->session, SHARE_FENCE, 4, values, NULL, NULL, err) || judge(target, err);
}

bool plan_rows_begin_chunk(struct target *target, const struct chunk *chunk, struct error *err) {
    char id[NUMBER_TEXT_MAX];
    const char *values[4];
    set_copy(target, values);
    snprintf(id, sizeof id, "%u", chunk->id);
    values[3] = id;
    return share_fence(target, err) &&
           (session_query(&target->session, LOCK_CHUNK, 4, values, NULL, NULL, err) || judge(target, err));
}

bool plan_rows_empty(struct target *target, const struct chunk *chunk, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, RESTART_TABLE);
    append_where(&sql, target);
    buffer_printf(&sql, " and relation_oid = %u", chunk->relation_oid);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return share_fence(target, err) && session_execute(&target->session, sql.data, err);
}

bool plan_rows_end_chunk(struct target *target, const struct chunk *chunk, lsn_t read_lsn, uint64_t rows,
                         struct error *err) {
    char id[NUMBER_TEXT_MAX], row_count[NUMBER_TEXT_MAX];
    const struct lsn_text lsn = lsn_format(read_lsn);
    const char *values[7];
    set_copy(target, values);
    snprintf(id, sizeof id, "%u", chunk->id);
    snprintf(row_count, sizeof row_count, "%" PRIu64, rows);
    values[3] = id;
    values[4] = chunk->snapshot;
    values[5] = lsn.text;
    values[6] = row_count;
    return session_query(&target->session, END_CHUNK, 7, values, NULL, NULL, err) || judge(target, err);
}

/* ---- dropping ---- */

/* Tables that another pipeline uses stay; so do those that the role does not own. */
static bool drop_tables(struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct error ignored;
    if (!session_query(session, "select from pgcdc.copy limit 1", 0, NULL,
                       &(const struct result_shape){"the query for copies", 0, 1, 0, 0}, &result, err))
        return false;
    if (PQntuples(result) > 0)
        return true;
    return session_execute(session, "savepoint pgcdc", err) &&
           (session_execute(session, "drop table pgcdc.copy, pgcdc.chunk, pgcdc.chunk_seen", &ignored) ||
            session_execute(session, "rollback to savepoint pgcdc", err));
}

bool plan_rows_drop(const struct sink_config *config, struct session *session, struct error *err) {
    static const char *const DELETES[] = {"delete from pgcdc.chunk where pipeline = $1 and sink = $2",
                                          "delete from pgcdc.chunk_seen where pipeline = $1 and sink = $2",
                                          "delete from pgcdc.copy where pipeline = $1 and sink = $2"};
    const char *const values[] = {config->pipeline, config->name};
    bool exist = false;
    if (!own_tables_exist(session, &TABLES, &exist, err))
        return false;
    if (!exist)
        return true;
    if (!session_execute(session, "begin isolation level read committed", err) ||
        !session_execute(session, "lock table pgcdc.copy in share row exclusive mode", err) ||
        !late_key_restore(session, config->pipeline, config->name, 0, err))
        return false;
    for (size_t i = 0; i < sizeof DELETES / sizeof *DELETES; i++)
        if (!session_query(session, DELETES[i], 2, values, NULL, NULL, err))
            return false;
    return drop_tables(session, err) && session_execute(session, "commit", err);
}
