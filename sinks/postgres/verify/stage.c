/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stage.c - COPY out of the source, the mapping, COPY into the temporary table.
 */
#include "sinks/postgres/verify/stage.h"

#include "cdc/base/buffer.h"
#include "sinks/chunk_range.h"
#include "sinks/mapping/table_expressions.h"

enum { PIECE_BYTES = 64 * 1024, BLOCK_BYTES = 64 * 1024 };

#define SQL_BYTES_MAX (16 << 20)
#define ROWS_BYTES_MAX ((size_t) 3 << 30)
#define DEFINITIONS_BYTES_MAX ((size_t) 1 << 30)

/* ---- the session ---- */

bool stage_open(struct stage *stage, const struct sink_config *config, const struct session_options *options,
                struct error *err) {
    if (stage->session.conn != NULL)
        return true;
    evaluator_init(&stage->evaluator, config, options->stop);
    arena_init(&stage->arena, BLOCK_BYTES, DEFINITIONS_BYTES_MAX);
    return session_open(&stage->session, options, err) && session_take_bytes(&stage->session, err) &&
           session_notice_our_end(&stage->session, err);
}

void stage_close(struct stage *stage) {
    session_close(&stage->session);
    copy_map_release(&stage->copy);
    evaluator_close(&stage->evaluator);
    arena_release(&stage->arena);
}

void stage_forget(struct stage *stage) {
    stage->is_full = false;
}

/* ---- the temporary table ---- */

static bool explain_right(struct error *err) {
    if (strcmp(err->sqlstate, "42501") != 0)
        return false;
    return error_remedy(err, "grant the target's role the right TEMPORARY on its database: verify keeps "
                             "mapped rows in a temporary table for as long as it compares them");
}

static bool make_room(struct stage *stage, const struct staged_table *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    const bool is_other = stage->table != table;
    if (stage->is_made && !is_other)
        buffer_append_text(&sql, "truncate " STAGE_TABLE);
    else
        buffer_printf(&sql, "%screate temporary table pgcdc_verify (%s)",
                      stage->is_made ? "drop table " STAGE_TABLE "; " : "", table->columns_sql);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_execute(&stage->session, sql.data, err))
        return explain_right(err);
    stage->is_made = true;
    if (!is_other)
        return true;
    const struct compared_table *compared = table->compared;
    arena_reset(&stage->arena);
    stage->table = table;
    stage->map = compared->map;
    return table_expressions_of_table(&stage->evaluator, compared->source, &stage->map, &compared->table,
                                      err) &&
           copy_map_begin(&stage->copy, &stage->map, compared->source, &compared->table, &stage->evaluator,
                          &stage->arena, err);
}

/* ---- rows ---- */

static bool copy_begin(struct session *session, const char *sql, ExecStatusType status, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (PQsendQuery(session->conn, sql) == 0)
        return session_error(session, NULL, err);
    if (!session_next_result(session, &result, err))
        return false;
    return PQresultStatus(result) == status ? true : session_error(session, result, err);
}

static bool copy_end(struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    PGresult *mark AUTO_PGRESULT = NULL;
    if (!session_next_result(session, &result, err))
        return false;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        return session_error(session, result, err);
    return session_next_result(session, &mark, err);
}

/* The server has ended a COPY that failed; its answer holds the reason. */
static bool put_failed(struct session *session, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (PQstatus(session->conn) == CONNECTION_OK && !session_next_result(session, &result, err))
        return false;
    return session_error(session, result, err);
}

/* Maps what was read, and sends it on. */
static bool stage_put(struct stage *stage, struct buffer *rows, struct error *err) {
    struct slice mapped = {0};
    if (!buffer_ok(rows))
        return error_no_memory(err);
    if (!copy_map_rows(&stage->copy, buffer_slice(rows), &mapped, err))
        return false;
    buffer_reset(rows);
    while (mapped.size > 0) {
        const size_t size = mapped.size < PIECE_BYTES ? mapped.size : PIECE_BYTES;
        if (PQputCopyData(stage->session.conn, mapped.data, (int) size) != 1)
            return put_failed(&stage->session, err);
        if (!session_flush(&stage->session, err))
            return false;
        mapped.data += size;
        mapped.size -= size;
    }
    return true;
}

/* *ret_more is false at the end of the rows. */
static bool take_row(struct session *source, struct buffer *rows, bool *ret_more, struct error *err) {
    char *bytes = NULL;
    int size;
    while ((size = PQgetCopyData(source->conn, &bytes, 1)) == 0)
        if (!session_read(source, err))
            return false;
    if (size == -2)
        return session_error(source, NULL, err);
    *ret_more = size > 0;
    if (size > 0)
        buffer_append(rows, bytes, (size_t) size);
    PQfreemem(bytes);
    return true;
}

static bool pass_rows(struct stage *stage, struct session *source, struct error *err) {
    struct buffer rows AUTO(buffer_release) = {.bytes_max = ROWS_BYTES_MAX};
    bool has_more = true;
    while (has_more) {
        if (!take_row(source, &rows, &has_more, err))
            return false;
        if ((!has_more || rows.size >= PIECE_BYTES) && !stage_put(stage, &rows, err))
            return false;
    }
    return copy_end(source, err);
}

static const char *write_copy(const struct staged_table *table, const struct comparison_part *part,
                              struct buffer *sql) {
    buffer_printf(sql, "copy (%s", table->select_sql);
    if (part->range != NULL || part->where_sql != NULL)
        buffer_append_text(sql, table->is_filtered ? "" : " where true");
    if (part->range != NULL)
        chunk_range_append(sql, part->range);
    if (part->where_sql != NULL) {
        buffer_append_text(sql, " and (");
        buffer_append_text(sql, part->where_sql);
        buffer_append_text(sql, "\n)"); /* a comment at its end ends here */
    }
    buffer_append_text(sql, ") to stdout");
    return buffer_text(sql);
}

bool stage_fill(struct stage *stage, const struct staged_table *table, const struct comparison_part *part,
                struct session *source, struct error *err) {
    const struct chunk *range = part->range;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (stage->is_full && stage->table == table && stage->range == range)
        return true;
    stage->is_full = false;
    if (write_copy(table, part, &sql) == NULL)
        return error_no_memory(err);
    if (!make_room(stage, table, err) || !copy_begin(source, sql.data, PGRES_COPY_OUT, err) ||
        !copy_begin(&stage->session, "copy " STAGE_TABLE " from stdin", PGRES_COPY_IN, err) ||
        !pass_rows(stage, source, err))
        return false;
    if (PQputCopyEnd(stage->session.conn, NULL) != 1)
        return put_failed(&stage->session, err);
    if (!copy_end(&stage->session, err))
        return false;
    stage->is_full = true;
    stage->range = range;
    return true;
}
