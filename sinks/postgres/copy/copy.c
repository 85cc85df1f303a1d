/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy.c - the initial copy in one transaction: creates missing tables, passes rows through, stores the
 * position last.
 *
 * An interrupted copy leaves nothing, not even tables. If a second engine raises the epoch during the copy,
 * the last statement fails (position_row.h). Tables that already hold rows are refused: their origin is
 * unknown.
 */
#include "sinks/postgres/copy/copy.h"

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/pq/identifier.h"
#include "decoder/builtin_type.h"
#include "sinks/postgres/catalog/narrowing.h"
#include "sinks/postgres/catalog/own_rows.h"
#include "sinks/postgres/schema/ignored_columns.h"
#include "sinks/postgres/settle/settle.h"
#include "sinks/row_mode.h"

#include <assert.h>
#include <stdlib.h>

#define SQL_BYTES_MAX (1 << 20)
#define LIST_BYTES_MAX 1024     /* names in an error; the rest is only counted */
#define PIECE_BYTES (256 << 10) /* libpq buffers at most one piece, however large the row is */

static struct target *target_of(struct sink *sink) {
    return (struct target *) sink;
}

/* name, type, generated, modifier of every column of the table on the target. */
static bool read_columns(struct session *target, const struct table *table, PGresult **ret_columns,
                         struct error *err) {
    static const char SQL[] =
        "select a.attname, a.atttypid, a.attgenerated, a.atttypmod"
        " from pg_attribute a join pg_class c on c.oid = a.attrelid"
        " join pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = $1 and c.relname = $2 and a.attnum > 0 and not a.attisdropped";
    const char *parameters[] = {table->schema, table->name};
    return session_query(target, SQL, 2, parameters,
                         &(const struct result_shape){"the query for columns", 0, RESULT_ROWS_ANY, 4, 0},
                         ret_columns, err);
}

/* The row of read_columns with that name, or -1. */
static int find_column(const PGresult *columns, const char *name) {
    for (int row = 0; row < PQntuples(columns); row++)
        if (strcmp(PQgetvalue(columns, row, 0), name) == 0)
            return row;
    return -1;
}

static bool is_generated(const PGresult *columns, int row) {
    return PQgetvalue(columns, row, 2)[0] != '\0';
}

static bool refuse_missing(const struct table *table, const PGresult *columns, struct error *err) {
    struct buffer remedy AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    identifier_append_printable_qualified(&remedy, slice_of(table->schema), slice_of(table->name));
    const char *before = " add column ";
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        if (!table_column_is_copied(column) || find_column(columns, column->name) >= 0)
            continue;
        buffer_append_text(&remedy, before);
        identifier_append_printable(&remedy, slice_of(column->name));
        buffer_printf(&remedy, " %s", column->type_sql);
        before = ", add column ";
    }
    const char *additions = buffer_text(&remedy);
    return error_set(err, ERROR_CONFIG, "table %s.%s on the target lacks columns: alter table %s",
                     table->schema, table->name, additions != NULL ? additions : "... add column ... (many)");
}

/* Such a table's rows would silently differ from the source's. */
static bool refuse_generated(const struct table *table, const struct table_column *column,
                             struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    identifier_append_printable(&name, slice_of(column->name));
    buffer_append_text(&name, " of table ");
    identifier_append_printable_qualified(&name, slice_of(table->schema), slice_of(table->name));
    const char *text = buffer_text(&name);
    error_set(err, ERROR_CONFIG,
              "target: column %s is generated at the target only, so the source's values would be lost",
              text != NULL ? text : column->name);
    return error_remedy(err, "pgcdc check prints the statement that makes it a plain column");
}

/* A built-in type with the same modifier need not be compared. */
static bool has_same_type(const PGresult *columns, int row, const struct table_column *column) {
    return column->type_oid < BUILTIN_TYPE_FIXED_END &&
           strtoul(PQgetvalue(columns, row, 1), NULL, 10) == column->type_oid &&
           strtol(PQgetvalue(columns, row, 3), NULL, 10) == column->type_modifier;
}

/* *ret_same: each column has the source's type. */
static bool check_columns(struct target *sink, const struct table *table, bool *ret_same, struct error *err) {
    PGresult *columns AUTO_PGRESULT = NULL;
    PGresult *ignored AUTO_PGRESULT = NULL;
    *ret_same = true;
    if (!read_columns(&sink->session, table, &columns, err) ||
        !ignored_columns_read(&sink->session, sink->sink.config, table, &ignored, err))
        return false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        struct table_column *column = &table->columns[i];
        if (!column->published)
            continue;
        int row = find_column(columns, column->name);
        column->left_to_sink = ignored_columns_has(ignored, column);
        if (column->left_to_sink)
            continue;
        if (row < 0)
            return refuse_missing(table, columns, err);
        column->left_to_sink = is_generated(columns, row);
        if (column->left_to_sink && column->generated == '\0')
            return refuse_generated(table, column, err);
        column->sink_takes_binary = builtin_type_is_portable(column->type_oid) &&
                                    strtoul(PQgetvalue(columns, row, 1), NULL, 10) == column->type_oid;
        *ret_same &= has_same_type(columns, row, column);
    }
    return true;
}

/* Queries a limited number of tables at once, because each adds a part to the plan. */
static bool find_full(struct session *target, const struct table *tables, size_t first, size_t end,
                      PGresult **ret_full, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    for (size_t i = first; i < end; i++) {
        buffer_printf(&sql, "%sselect %zu where ", i > first ? " union all " : "", i);
        own_rows_append_exists(&sql, tables[i].schema, tables[i].name, tables[i].owned_sql);
    }
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    return session_query(target, sql.data, 0, NULL,
                         &(const struct result_shape){"the query for rows", 0, (int) (end - first), 1, 0},
                         ret_full, err) ||
           error_wrap(err, "looking for rows in the target's tables");
}

static bool name_full(const struct table *tables, size_t count, const PGresult *full, struct buffer *names,
                      struct error *err) {
    for (int row = 0; row < PQntuples(full); row++) {
        const size_t i = strtoul(PQgetvalue(full, row, 0), NULL, 10);
        if (i >= count)
            return error_set(err, ERROR_PROTOCOL, "target: an answer about a table that was not queried");
        if (names->size + strlen(tables[i].schema) + strlen(tables[i].name) + 4 < LIST_BYTES_MAX)
            buffer_printf(names, "%s%s.%s", names->size > 0 ? ", " : "", tables[i].schema, tables[i].name);
    }
    return true;
}

/* Reports all such tables at once. */
static bool check_all_empty(struct session *target, const struct table *tables, size_t count,
                            struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = LIST_BYTES_MAX};
    size_t full_count = 0;
    for (size_t first = 0; first < count; first += TARGET_TABLES_MAX) {
        const size_t end = count - first < TARGET_TABLES_MAX ? count : first + TARGET_TABLES_MAX;
        PGresult *full AUTO_PGRESULT = NULL;
        if (!find_full(target, tables, first, end, &full, err) ||
            !name_full(tables, count, full, &names, err))
            return false;
        full_count += (size_t) PQntuples(full);
    }
    if (full_count == 0)
        return true;
    error_set(err, ERROR_CONFIG, "tables on the target already hold rows (%zu): %s", full_count,
              buffer_text(&names));
    error_remedy(
        err, "pgcdc check prints the statements that empty them; or set snapshot: never when their rows are "
             "the source's");
    return error_finding(err, "target_rows");
}

/*
 * Each created table is locked with its indexes until the transaction ends; a retry would need as many
 * locks.
 */
static bool explain_locks(size_t count, struct error *err) {
    if (strcmp(err->sqlstate, "53200") != 0)
        return false;
    err->kind = ERROR_CONFIG;
    return error_wrap(err, "the copy of %s is one transaction; raise max_locks_per_transaction on the target",
                      amount_count(count, "table").text);
}

bool postgres_copy_check(struct target *sink, const struct table *table, struct error *err) {
    bool is_same = false;
    return check_columns(sink, table, &is_same, err) &&
           (sink->may_narrow || is_same || narrowing_check_copy(&sink->session, table, err)) &&
           target_table_check_triggers(&sink->session, table->schema, table->name, sink->role, err);
}

static bool make_all_logged(struct session *target, const struct table *tables, size_t count,
                            struct error *err) {
    for (size_t first = 0; first < count; first += TARGET_TABLES_MAX) {
        struct relation relations[TARGET_TABLES_MAX];
        const struct relation *pointers[TARGET_TABLES_MAX];
        size_t asked = 0;
        for (; asked < TARGET_TABLES_MAX && first + asked < count; asked++) {
            relations[asked] = (struct relation){.schema = slice_of(tables[first + asked].schema),
                                                 .name = slice_of(tables[first + asked].name)};
            pointers[asked] = &relations[asked];
        }
        if (!target_tables_make_logged(target, pointers, asked, err))
            return false;
    }
    return true;
}

/*
 * Defers the foreign keys that are deferrable, where they act: tables may refer to each other in a circle.
 * COPY needs no plan, and triggers get the database's planner settings.
 */
bool postgres_copy_start(struct target *target, struct error *err) {
    static const char BEGIN[] =
        "begin isolation level read committed read write; set constraints all deferred;"
        " set local enable_seqscan to default; set local enable_hashjoin to default;"
        " set local enable_mergejoin to default; set local plan_cache_mode to default;"
        " set local max_parallel_workers_per_gather to default";
    if (!session_execute(&target->session, BEGIN, err))
        return false;
    target->in_transaction = true;
    target->copied = NULL;
    return true;
}

/*
 * A chunk that may have been copied before first removes the rows of its range, and these are then not only
 * copies of the source's: they are events, marks and versions.
 */
static bool check_kept(struct session *target, const struct table *tables, size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++) {
        PGresult *full AUTO_PGRESULT = NULL;
        if (tables[i].mode == ROWS_MERGED)
            continue;
        if (!find_full(target, tables, i, i + 1, &full, err))
            return false;
        if (PQntuples(full) == 0)
            continue;
        error_set(err, ERROR_CONFIG,
                  "target: table %s.%s is kept in mode %s and has rows, and a copy would remove what is kept",
                  tables[i].schema, tables[i].name, row_mode_word(tables[i].mode));
        return error_remedy(err, "leave it as it is; or, if nothing of it is needed any more, stop the "
                                 "pipeline, delete these rows on the target, run the command again, and "
                                 "start the pipeline");
    }
    return true;
}

static bool prepare_settled(struct target *target, const struct table *table, struct error *err) {
    return table->policy == NULL ||
           settle_prepare(&target->session, true, table->policy, table->schema, table->name, err);
}

static bool begin_copy(struct sink *sink, const struct table *tables, size_t count, bool may_hold_rows,
                       struct error *err) {
    struct target *target = target_of(sink);
    assert(!target->in_transaction);
    if (!postgres_copy_start(target, err))
        return false;
    for (size_t i = 0; i < count; i++)
        if (!postgres_create_table(target, &tables[i], err) ||
            !postgres_copy_check(target, &tables[i], err) || !prepare_settled(target, &tables[i], err))
            return explain_locks(count, err);
    FAULT_POINT("copy-tables-created");
    if (may_hold_rows ? !check_kept(&target->session, tables, count, err)
                      : !check_all_empty(&target->session, tables, count, err))
        return false;
    return make_all_logged(&target->session, tables, count, err);
}

bool postgres_copy_begin(struct sink *sink, const struct table *tables, size_t count, struct error *err) {
    return begin_copy(sink, tables, count, false, err);
}

bool postgres_copy_begin_again(struct sink *sink, const struct table *tables, size_t count,
                               struct error *err) {
    return begin_copy(sink, tables, count, true, err);
}

bool postgres_copy_accepts_binary(struct sink *sink, const struct table *table) {
    (void) sink;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table_column_is_copied(&table->columns[i]) && !table->columns[i].sink_takes_binary)
            return false;
    return true;
}

static bool append_copy(struct buffer *sql, const struct table *table, enum copy_format format,
                        struct error *err) {
    buffer_append_text(sql, "copy ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    const char *before = " (";
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table_column_is_copied(&table->columns[i]))
            continue;
        buffer_append_text(sql, before);
        identifier_append(sql, slice_of(table->columns[i].name));
        before = ", ";
    }
    /* COPY of a table without columns has no column list. */
    buffer_append_text(sql, before[0] == ',' ? ") from stdin" : " from stdin");
    if (format == COPY_FORMAT_BINARY)
        buffer_append_text(sql, " (format binary)");
    return buffer_text(sql) != NULL ? true : error_no_memory(err);
}

/* Reads results up to the end mark and checks the last; COPY ends with one result and the mark. */
static bool take_result(struct session *target, ExecStatusType expected, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (!session_next_result(target, &result, err))
        return false;
    if (PQresultStatus(result) != expected)
        return session_error(target, result, err);
    return true;
}

bool postgres_copy_table(struct sink *sink, const struct table *table, enum copy_format format,
                         struct error *err) {
    struct target *target = target_of(sink);
    struct session *session = &target->session;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    assert(target->in_transaction);
    if (!append_copy(&sql, table, format, err))
        return false;
    if (PQsendQuery(session->conn, sql.data) == 0)
        return session_error(session, NULL, err);
    if (!take_result(session, PGRES_COPY_IN, err))
        return false;
    target->copied = table;
    return true;
}

/* The server has already ended a COPY that failed; its answer holds the reason. */
static bool copy_failed(struct session *target, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (PQstatus(target->conn) == CONNECTION_OK && !session_next_result(target, &result, err))
        return false;
    return session_error(target, result, err);
}

bool postgres_copy_data(struct sink *sink, struct slice bytes, struct error *err) {
    struct session *target = &target_of(sink)->session;
    while (bytes.size > 0) {
        size_t size = bytes.size < PIECE_BYTES ? bytes.size : PIECE_BYTES;
        if (PQputCopyData(target->conn, bytes.data, (int) size) != 1)
            return copy_failed(target, err);
        if (!session_flush(target, err))
            return false;
        bytes.data += size;
        bytes.size -= size;
    }
    FAULT_POINT("copy-data-sent");
    return true;
}

bool postgres_analyze(struct session *target, const struct table *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "analyze ");
    identifier_append_qualified(&sql, slice_of(table->schema), slice_of(table->name));
    return buffer_text(&sql) != NULL ? session_execute(target, sql.data, err) : error_no_memory(err);
}

/* Possible only where foreign keys act: with triggers: fire. */
static bool explain_reference(struct error *err) {
    if (strcmp(err->sqlstate, "23503") != 0)
        return false;
    err->kind = ERROR_CONFIG;
    return error_remedy(err,
                        "replicate the table that it refers to, too, or drop the constraint; if that table "
                        "is copied later, make the constraint deferrable");
}

bool postgres_copy_finish(struct target *target, struct error *err) {
    struct session *session = &target->session;
    assert(target->copied != NULL);
    if (PQputCopyEnd(session->conn, NULL) != 1)
        return copy_failed(session, err);
    PGresult *end AUTO_PGRESULT = NULL;
    if (!take_result(session, PGRES_COMMAND_OK, err))
        return explain_reference(err);
    if (!session_next_result(session, &end, err))
        return false;
    if (end != NULL)
        return error_set(err, ERROR_PROTOCOL, "target: more than one answer to the end of COPY");
    target->copied = NULL;
    return true;
}

bool postgres_copy_table_end(struct sink *sink, struct error *err) {
    struct target *target = target_of(sink);
    const struct table *table = target->copied;
    if (!postgres_copy_finish(target, err))
        return false;
    FAULT_POINT("copy-table-ended");
    return postgres_analyze(&target->session, table, err);
}

bool postgres_copy_end(struct sink *sink, const struct position *position, struct error *err) {
    struct target *target = target_of(sink);
    assert(target->in_transaction);
    assert(position_exists(position));
    FAULT_POINT("copy-before-store");
    if (!position_row_store(&target->row, &target->session, position, err))
        return false;
    FAULT_POINT("copy-before-commit");
    if (!session_execute(&target->session, "commit", err))
        return explain_reference(err) || error_wrap(err, "committing the copy");
    target->in_transaction = false;
    FAULT_POINT("copy-committed");
    return true;
}
