/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_out.c - reads COPY TO STDOUT without blocking for ever.
 *
 *     COPY "s"."t" ("a", "b")                            a plain table, without the rows of its children
 *     COPY (SELECT "a", "b" FROM "s"."t")                a partitioned table: the rows of all partitions
 *     COPY (SELECT "a", "b" FROM ONLY "s"."t" WHERE ...) a row filter, a chunk, a sample, generated columns
 */
#include "cdc/copy/copy_out.h"

#include <inttypes.h>
#include <stdlib.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/chunk_range.h"

#define SQL_BYTES_MAX (4 << 20)

static size_t append_columns(struct buffer *sql, const struct table *table) {
    size_t count = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table_column_is_copied(&table->columns[i]))
            continue;
        if (count++ > 0)
            buffer_append_text(sql, ", ");
        identifier_append(sql, slice_of(table->columns[i].name));
    }
    return count;
}

/* COPY of a table omits generated columns. */
static bool needs_query(const struct table *table, const struct chunk *chunk) {
    if (chunk != NULL && chunk->method != CHUNK_WHOLE)
        return true;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].generated != '\0' && table_column_is_copied(&table->columns[i]))
            return true;
    return table->kind == 'p' || table->row_filter_sql != NULL;
}

/* By the column's own order, so that an index serves. */
static void append_query(struct buffer *sql, const struct table *table, const struct chunk *chunk) {
    buffer_append_text(sql, "(select ");
    append_columns(sql, table);
    buffer_append_text(sql, table->kind == 'p' ? " from " : " from only ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    buffer_printf(sql, " where (%s)", table->row_filter_sql != NULL ? table->row_filter_sql : "true");
    if (chunk != NULL)
        chunk_range_append(sql, chunk);
}

static void append_table(struct buffer *sql, const struct table *table) {
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    buffer_append_text(sql, " (");
    if (append_columns(sql, table) == 0)
        sql->size -= strlen(" ("); /* a table without columns is copied without a list */
    else
        buffer_append_text(sql, ")");
}

static bool send_copy(struct session *source, struct buffer *sql, struct error *err) {
    if (buffer_text(sql) == NULL)
        return error_no_memory(err);
    if (PQsendQuery(source->conn, sql->data) == 0)
        return session_error(source, NULL, err);
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_next_result(source, &result, err))
        return false;
    return PQresultStatus(result) == PGRES_COPY_OUT ? true : session_error(source, result, err);
}

bool copy_out_start(struct session *source, const struct table *table, const struct chunk *chunk,
                    enum copy_format format, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "copy ");
    if (needs_query(table, chunk)) {
        append_query(&sql, table, chunk);
        buffer_append_text(&sql, ")");
    } else
        append_table(&sql, table);
    buffer_append_text(&sql, format == COPY_FORMAT_BINARY ? " to stdout (format binary)" : " to stdout");
    return send_copy(source, &sql, err);
}

bool copy_out_start_sample(struct session *source, const struct table *table, uint64_t rows_max,
                           struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "copy ");
    append_query(&sql, table, NULL);
    buffer_printf(&sql, " limit %" PRIu64 ") to stdout", rows_max);
    return send_copy(source, &sql, err);
}

/* COPY ends with one result, which can still be an error, and libpq's end mark. */
static bool take_end(struct session *source, uint64_t *ret_rows, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    PGresult *mark AUTO_PGRESULT = NULL;
    if (!session_next_result(source, &result, err))
        return false;
    if (PQresultStatus(result) != PGRES_COMMAND_OK)
        return session_error(source, result, err);
    *ret_rows = strtoull(PQcmdTuples(result), NULL, 10);
    return session_next_result(source, &mark, err);
}

bool copy_out_next(struct session *source, struct copy_message *ret_message, uint64_t *ret_rows,
                   struct error *err) {
    for (;;) {
        char *bytes = NULL;
        int size = PQgetCopyData(source->conn, &bytes, 1);
        if (size > 0) {
            *ret_message = (struct copy_message){.data = bytes, .size = (size_t) size};
            return true;
        }
        if (size == -1) {
            *ret_message = (struct copy_message){0};
            return take_end(source, ret_rows, err);
        }
        if (size == -2)
            return session_error(source, NULL, err);
        if (!session_read(source, err))
            return false;
    }
}

void copy_out_free(struct copy_message *message) {
    PQfreemem(message->data);
    *message = (struct copy_message){0};
}
