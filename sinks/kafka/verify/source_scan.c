/* SPDX-License-Identifier: Apache-2.0 */
/*
 * source_scan.c - a query whose rows are never held together.
 */
#include "sinks/kafka/verify/source_scan.h"

#include <stdlib.h>

#include "cdc/pq/identifier.h"

#define SQL_BYTES_MAX (4 << 20)

struct source_rows {
    const struct topic_table *table;
    struct read_rate *rate;
    struct value *values;
    source_row_taker *take;
    void *context;
};

/* The rows of a partitioned table are in its partitions; the children of another are tables of their own. */
static void append_from(struct buffer *sql, const struct table *table) {
    buffer_append_text(sql, table->kind == 'p' ? " from " : " from only ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
}

static void append_select(struct buffer *sql, const struct topic_table *table) {
    const struct relation *relation = &table->relation;
    buffer_append_text(sql, "select ");
    for (uint32_t i = 0; i < relation->column_count; i++) {
        buffer_append_text(sql, i > 0 ? ", " : "");
        identifier_append(sql, relation->columns[i].name);
    }
    append_from(sql, table->source);
    if (table->source->row_filter_sql != NULL)
        buffer_printf(sql, " where (%s)", table->source->row_filter_sql);
}

static bool take_row(void *context, const PGresult *row, struct error *err) {
    struct source_rows *rows = context;
    uint64_t bytes = 0;
    for (uint32_t i = 0; i < rows->table->relation.column_count; i++) {
        const bool is_null = PQgetisnull(row, 0, (int) i) != 0;
        rows->values[i] = (struct value){.data = PQgetvalue(row, 0, (int) i),
                                         .size = (uint32_t) PQgetlength(row, 0, (int) i),
                                         .kind = is_null ? VALUE_NULL : VALUE_TEXT};
        bytes += rows->values[i].size;
    }
    return read_rate_spend(rows->rate, bytes, err) && rows->take(rows->context, rows->values, err);
}

bool source_scan(struct session *source, const struct topic_table *table, struct read_rate *rate,
                 source_row_taker *take, void *context, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    const int count = (int) table->relation.column_count;
    struct source_rows rows = {.table = table, .rate = rate, .take = take, .context = context};
    append_select(&sql, table);
    rows.values = calloc((size_t) count + 1, sizeof *rows.values);
    if (rows.values == NULL || buffer_text(&sql) == NULL) {
        free(rows.values);
        return error_no_memory(err);
    }
    const struct result_shape shape = {"the query for its rows", 0, RESULT_ROWS_ANY, count,
                                       RESULT_NULL_ANYWHERE};
    const bool scanned = session_query_rows(source, sql.data, 0, NULL, &shape, take_row, &rows, err);
    free(rows.values);
    return scanned || error_wrap(err, "reading %s.%s", table->source->schema, table->source->name);
}

/* The catalog is read in the snapshot, the functions know the present. */
static const char IS_WHOLE[] =
    "with recursive tree as (select $1::pg_catalog.oid as oid"
    " union all select i.inhrelid from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid"
    " join pg_catalog.pg_class p on p.oid = tree.oid and p.relkind = 'p')"
    " select count(c.oid) = count(*) and coalesce(bool_and(c.relfilenode = 0"
    " or pg_catalog.pg_relation_filenode(c.oid) is not distinct from c.relfilenode), false)"
    " and (select count(*) from pg_catalog.pg_partition_tree($1::pg_catalog.oid::pg_catalog.regclass))"
    " in (0, count(*)) from tree left join pg_catalog.pg_class c on c.oid = tree.oid";

bool source_hold(struct session *source, const struct topic_table *table, bool *ret_whole,
                 struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    char oid[16];
    const char *const parameters[] = {oid};
    buffer_append_text(&sql, "select");
    append_from(&sql, table->source);
    buffer_append_text(&sql, " limit 0");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(source, sql.data, 0, NULL, &(const struct result_shape){"the lock", 0, 0, 0, 0},
                       &result, err))
        return false;
    PQclear(result);
    result = NULL;
    snprintf(oid, sizeof oid, "%u", table->source->oid);
    if (!session_query(source, IS_WHOLE, 1, parameters,
                       &(const struct result_shape){"the query for its file", 1, 1, 1, 0}, &result, err))
        return false;
    *ret_whole = result_is_true(result, 0, 0);
    return true;
}
