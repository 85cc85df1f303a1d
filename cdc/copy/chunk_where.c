/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_where.c - one query a side.
 *
 * Where a rule is, the target's rows are shown under the source's names:
 *
 *     select from (select "nr" as "id", ... from crm.customer where (owned) and range) "pgcdc row" where (condition)
 *
 * The inner query hides all other columns, so that a name cannot mean one that the target alone has.
 */
#include "cdc/copy/chunk_where.h"

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/chunk_range.h"

enum { SQL_BYTES_MAX = 1024 * 1024 };

static bool ask_for_one(struct session *session, struct buffer *sql, bool *ret_some, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    buffer_append_text(sql, " limit 1");
    if (buffer_text(sql) == NULL)
        return error_no_memory(err);
    if (!session_query(session, sql->data, 0, NULL,
                       &(const struct result_shape){"the query with --where", 0, 1, 0, 0}, &result, err))
        return false;
    *ret_some = *ret_some || PQntuples(result) > 0;
    return true;
}

/* A comment at its end ends with the line. */
static void append_condition(struct buffer *sql, const struct chunk_where *where) {
    buffer_append_text(sql, " where (");
    buffer_append_text(sql, where->where_sql);
    buffer_append_text(sql, "\n)");
}

static bool ask_plain(const struct chunk_where *where, struct session *session, const struct chunk *chunk,
                      bool *ret_some, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    buffer_append_text(&sql, "select from ");
    identifier_append_qualified(&sql, slice_of(chunk->schema), slice_of(chunk->table));
    append_condition(&sql, where);
    chunk_range_append_ordered(&sql, chunk);
    return ask_for_one(session, &sql, ret_some, err);
}

static bool ask_mapped(const struct chunk_where *where, const struct chunk *chunk, bool *ret_some,
                       struct error *err) {
    const struct source_names names = {
        .map = &where->map, .source = where->table, .mapped = &where->mapped, .sink = where->sink->name};
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct chunk named = *chunk;
    if (chunk->column != NULL)
        named.column = source_names_find(&names, chunk->column);
    buffer_append_text(&sql, "select from (select ");
    source_names_append(&sql, &names);
    buffer_append_text(&sql, " from ");
    identifier_append_qualified(&sql, slice_of(where->mapped.schema), slice_of(where->mapped.name));
    buffer_printf(&sql, " where (%s)", where->map.owned_sql != NULL ? where->map.owned_sql : "true");
    chunk_range_append_ordered(&sql, &named);
    buffer_append_text(&sql, ") \"pgcdc row\"");
    append_condition(&sql, where);
    return ask_for_one(where->target, &sql, ret_some, err) || source_names_explain(&names, err);
}

static bool map_table(struct chunk_where *where, const struct table *table, struct error *err) {
    static const struct mapping NONE = {0};
    if (where->table == table)
        return true;
    where->table = table;
    return table_map_table(where->sink->mapping != NULL ? where->sink->mapping : &NONE, where->sink->name,
                           table, where->arena, &where->map, &where->mapped, err);
}

static bool ask_target(struct chunk_where *where, const struct table *table, const struct chunk *chunk,
                       bool *ret_some, struct error *err) {
    if (where->target == NULL)
        return true;
    return map_table(where, table, err) &&
           (where->map.rule != NULL ? ask_mapped(where, chunk, ret_some, err)
                                    : ask_plain(where, where->target, chunk, ret_some, err));
}

bool chunk_where_ask(struct chunk_where *where, const struct table *table, const struct chunk *chunk,
                     bool *ret_some, struct error *err) {
    *ret_some = false;
    return (ask_plain(where, where->source, chunk, ret_some, err) &&
            ask_target(where, table, chunk, ret_some, err)) ||
           error_wrap(err, "--where, for table %s.%s", chunk->schema, chunk->table);
}
