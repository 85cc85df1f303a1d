/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_copy.c - a chunk into the target: fence, removal of old rows, COPY, mark, COMMIT.
 *
 * The COMMIT waits for the disk, whatever synchronous_commit says: the engine tells the runner that the chunk
 * is copied, and the runner's position may become durable next.
 */
#include "sinks/postgres/copy/chunk_copy.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "sinks/chunk_range.h"
#include "sinks/postgres/copy/copy.h"
#include "sinks/postgres/copy/late_key.h"
#include "sinks/postgres/catalog/own_rows.h"
#include "sinks/postgres/copy/plan_rows.h"
#include "sinks/postgres/dead/dead_tables.h"
#include "sinks/postgres/schema/copied_columns.h"
#include "sinks/postgres/schema/ruled_columns.h"

#define SQL_BYTES_MAX 65536u

static struct target *target_of(struct sink *sink) {
    return (struct target *) sink;
}

static const char *key_of(const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].key_index == 1)
            return table->columns[i].name;
    return NULL;
}

static bool find_parts(struct target *target, struct table *table, struct error *err) {
    static const char SQL[] =
        "select from pg_catalog.pg_index i join pg_catalog.pg_class c on c.oid = i.indrelid"
        " join pg_catalog.pg_namespace n on n.oid = c.relnamespace"
        " where n.nspname = $1 and c.relname = $2 and (i.indisunique or i.indisexclusion)"
        " and not exists (select from pg_catalog.pg_attribute a where a.attrelid = i.indrelid"
        " and a.attname = $3 and a.attnum = any (i.indkey)) limit 1";
    PGresult *result AUTO_PGRESULT = NULL;
    const char *const values[] = {table->schema, table->name, key_of(table)};
    table->sink_takes_parts = false;
    /* in an index that finds the rows of a range, all of them must be */
    if (values[2] == NULL || table->mode == ROWS_APPENDED || table->mode == ROWS_HISTORY)
        return true;
    if (!session_query(&target->session, SQL, 3, values,
                       &(const struct result_shape){"the query for constraints", 0, 1, 0, 0}, &result, err))
        return false;
    table->sink_takes_parts = PQntuples(result) == 0;
    return true;
}

bool chunk_copy_find_parts(struct sink *sink, struct table *tables, size_t count, struct error *err) {
    for (size_t i = 0; i < count; i++)
        if (!find_parts(target_of(sink), &tables[i], err))
            return false;
    return true;
}

/* Of a table that sends a part of its columns the stream alters nothing. */
static bool sends_all(const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (!table->columns[i].published || table->columns[i].generated != '\0')
            return false;
    return true;
}

bool chunk_copy_has_columns(struct sink *copier, const struct table *table, enum sink_columns *ret_answer,
                            struct error *err) {
    struct target *target = target_of(copier);
    free(target->copied_columns);
    target->copied_columns = NULL;
    *ret_answer = COLUMNS_FIT;
    return !target->follows || !sends_all(table) ||
           copied_columns_ask(copier->config, &target->session, table, ret_answer, &target->copied_columns,
                              err);
}

bool chunk_copy_prepare(struct sink *copier, struct table *table, struct error *err) {
    struct target *target = target_of(copier);
    return postgres_copy_check(target, table, err) &&
           ruled_columns_check(target->sink.config, &target->session, table, err);
}

static bool remove_rows(struct target *target, const struct table *table, const struct chunk *chunk,
                        struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    own_rows_append_delete(&sql, table->schema, table->name, table->owned_sql);
    chunk_range_append_ordered(&sql, chunk);
    return buffer_text(&sql) != NULL ? session_execute(&target->session, sql.data, err)
                                     : error_no_memory(err);
}

bool chunk_copy_empty(struct sink *copier, const struct table *table, const struct chunk *chunk,
                      struct error *err) {
    static const struct chunk ALL = {0};
    struct target *target = target_of(copier);
    if (!postgres_copy_start(target, err) ||
        !session_execute(&target->session, "set local synchronous_commit = on", err) ||
        !plan_rows_empty(target, chunk, err) ||
        !dead_tables_empty(target->sink.config, &target->session, chunk->relation_oid, err) ||
        (table != NULL && !remove_rows(target, table, &ALL, err)))
        return false;
    FAULT_POINT("chunk-before-empty");
    if (!session_execute(&target->session, "commit", err))
        return error_wrap(err, "removing the rows of table %s.%s", chunk->schema, chunk->table);
    target->in_transaction = false;
    FAULT_POINT("chunk-emptied");
    return true;
}

static bool open_transaction(struct target *target, const struct chunk *chunk, struct error *err) {
    return postgres_copy_start(target, err) &&
           session_execute(&target->session, "set local synchronous_commit = on", err) &&
           plan_rows_begin_chunk(target, chunk, err);
}

bool chunk_copy_begin(struct sink *copier, const struct table *table, const struct chunk *chunk,
                      enum copy_format format, struct error *err) {
    struct target *target = target_of(copier);
    assert(!target->in_transaction);
    if (!open_transaction(target, chunk, err) ||
        (target->copied_columns != NULL &&
         !copied_columns_hold(copier->config, &target->session, table, target->copied_columns, err)) ||
        (chunk->state == CHUNK_DIRTY && !remove_rows(target, table, chunk, err)))
        return false;
    FAULT_POINT("chunk-begun");
    return postgres_copy_table(copier, table, format, err);
}

bool chunk_copy_end(struct sink *copier, const struct table *table, const struct chunk *chunk, lsn_t read_lsn,
                    uint64_t rows, struct error *err) {
    struct target *target = target_of(copier);
    if (table == NULL ? !open_transaction(target, chunk, err) : !postgres_copy_finish(target, err))
        return false;
    FAULT_POINT("chunk-before-mark");
    if (chunk->gets_key && !late_key_build(target, chunk->id, err))
        return false;
    FAULT_POINT("chunk-key-built");
    if (!plan_rows_end_chunk(target, chunk, read_lsn, rows, err))
        return false;
    FAULT_POINT("chunk-before-commit");
    if (!session_execute(&target->session, "commit", err))
        return error_wrap(err, "committing a chunk of table %s.%s", chunk->schema, chunk->table);
    target->in_transaction = false;
    FAULT_POINT("chunk-committed");
    return true;
}

bool chunk_copy_table_end(struct sink *copier, const struct table *table, struct error *err) {
    return postgres_analyze(&target_of(copier)->session, table, err);
}
