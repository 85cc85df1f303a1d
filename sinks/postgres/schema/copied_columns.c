/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copied_columns.c - one query for a row of pgcdc.columns.
 */
#include "sinks/postgres/schema/copied_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

enum { STATEMENT_BYTES = 4096, LIST_BYTES = 1 << 20 };

/* Columns that the target has kept are no columns of the source. A table that was made anew is not known. */
static const char KNOWN_SQL[] =
    "select coalesce(pg_catalog.string_agg(pg_catalog.format('%s %s %s %s', u.number, u.type, u.modifier,"
    " u.name), E'\\n' order by u.number) filter (where u.number is not null), '') from pgcdc.columns c"
    " left join lateral rows from (pg_catalog.unnest(c.numbers), pg_catalog.unnest(c.names),"
    " pg_catalog.unnest(c.types), pg_catalog.unnest(c.modifiers), pg_catalog.unnest(c.kept))"
    " u (number, name, type, modifier, kept) on not u.kept"
    " where c.pipeline = $1 and c.sink = $2 and c.relation_oid = $3::pg_catalog.oid"
    " and exists (select from pg_catalog.pg_class t where t.oid = c.target_oid) group by c.relation_oid";

static bool read_known(const struct sink_config *config, struct session *session, oid_t oid,
                       PGresult **ret_known, struct error *err) {
    char text[16];
    const char *const values[] = {config->pipeline, config->name, text};
    snprintf(text, sizeof text, "%u", oid);
    return session_query(session, KNOWN_SQL, 3, values,
                         &(const struct result_shape){"the query for known columns", 0, 1, 1, 0}, ret_known,
                         err);
}

static int compare_numbers(const void *a, const void *b) {
    const uint32_t first = ((const struct table_column *) a)->number;
    const uint32_t second = ((const struct table_column *) b)->number;
    return (first > second) - (first < second);
}

/* As KNOWN_SQL has them. */
static bool list_columns(const struct table *table, struct buffer *list, struct error *err) {
    struct table_column *columns = calloc((size_t) table->column_count + 1, sizeof *columns);
    if (columns == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < table->column_count; i++)
        columns[i] = table->columns[i];
    qsort(columns, table->column_count, sizeof *columns, compare_numbers);
    buffer_append_text(list, "");
    for (uint32_t i = 0; i < table->column_count; i++)
        buffer_printf(list, "%s%u %u %d %s", i > 0 ? "\n" : "", columns[i].number, columns[i].type_oid,
                      columns[i].type_modifier, columns[i].name);
    free(columns);
    return buffer_text(list) != NULL || error_no_memory(err);
}

bool copied_columns_ask(const struct sink_config *config, struct session *session, const struct table *table,
                        enum sink_columns *ret_answer, char **ret_known, struct error *err) {
    struct buffer list AUTO(buffer_release) = {.bytes_max = LIST_BYTES};
    PGresult *known AUTO_PGRESULT = NULL;
    *ret_answer = COLUMNS_UNKNOWN;
    *ret_known = NULL;
    if (!read_known(config, session, table->oid, &known, err))
        return false;
    if (PQntuples(known) == 0)
        return true;
    if (!list_columns(table, &list, err))
        return false;
    *ret_answer = strcmp(PQgetvalue(known, 0, 0), list.data) == 0 ? COLUMNS_FIT : COLUMNS_DIFFER;
    *ret_known = strdup(PQgetvalue(known, 0, 0));
    return *ret_known != NULL || error_no_memory(err);
}

/* ALTER TABLE of the runner waits for this lock, and the query sees what it has committed before. */
static bool lock_columns(struct session *session, const struct table *table, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = STATEMENT_BYTES};
    buffer_append_text(&sql, "lock table ");
    identifier_append_qualified(&sql, slice_of(table->schema), slice_of(table->name));
    buffer_append_text(&sql, " in row exclusive mode");
    return buffer_text(&sql) != NULL ? session_execute(session, sql.data, err) : error_no_memory(err);
}

bool copied_columns_hold(const struct sink_config *config, struct session *session, const struct table *table,
                         const char *known, struct error *err) {
    PGresult *now AUTO_PGRESULT = NULL;
    if (!lock_columns(session, table, err) || !read_known(config, session, table->oid, &now, err))
        return false;
    if (PQntuples(now) == 1 && strcmp(PQgetvalue(now, 0, 0), known) == 0)
        return true;
    return error_set(err, ERROR_RETRY,
                     "the columns of table %s.%s have changed while it was copied; reading them again",
                     table->schema, table->name);
}
