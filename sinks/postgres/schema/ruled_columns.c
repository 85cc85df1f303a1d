/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ruled_columns.c - one query for the known columns of a table.
 */
#include "sinks/postgres/schema/ruled_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/postgres/target/own_tables.h"

enum { NAME_BYTES_MAX = 4096 };

static bool read_columns(const struct sink_config *config, struct session *session, oid_t oid,
                         PGresult **ret_rows, struct error *err) {
    static const char SQL[] =
        "select u.name, u.number from pgcdc.columns c cross join lateral rows from ("
        " pg_catalog.unnest(c.names), pg_catalog.unnest(c.numbers), pg_catalog.unnest(c.kept))"
        " u (name, number, kept) where c.pipeline = $1 and c.sink = $2 and c.relation_oid = "
        "$3::pg_catalog.oid"
        " and not u.kept";
    char text[16];
    const char *const values[] = {config->pipeline, config->name, text};
    snprintf(text, sizeof text, "%u", oid);
    return session_query(
        session, SQL, 3, values,
        &(const struct result_shape){"the query for known columns", 0, RESULT_ROWS_ANY, 2, 0}, ret_rows, err);
}

/* Another one had its name, or it had another name. */
static bool is_other(const PGresult *known, const struct table_ruled *ruled) {
    for (int row = 0; row < PQntuples(known); row++) {
        const bool has_name = strcmp(PQgetvalue(known, row, 0), ruled->name) == 0;
        const bool has_number = strtoul(PQgetvalue(known, row, 1), NULL, 10) == ruled->number;
        if (has_name != has_number)
            return true;
    }
    return false;
}

static bool refuse_copy(const struct table *table, const char *column, struct error *err) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = NAME_BYTES_MAX};
    identifier_append_qualified(&name, slice_of(table->schema), slice_of(table->name));
    if (buffer_text(&name) == NULL)
        return error_no_memory(err);
    error_set(err, ERROR_DATA,
              "mapping: column \"%s\" of table %s is another column at the source now, and a rule is about "
              "its name",
              column, table->mapped_from);
    return error_remedy(
        err,
        "correct the rules to the columns as they are; run `pgcdc drop`, drop table %s at the "
        "target, empty its other tables, and start over with a new copy",
        name.data);
}

bool ruled_columns_check(const struct sink_config *config, struct session *session, const struct table *table,
                         struct error *err) {
    static const struct own_tables COLUMNS = {"{columns}", 1, NULL};
    PGresult *known AUTO_PGRESULT = NULL;
    bool exists = false;
    if (table->ruled_count == 0)
        return true;
    if (!own_tables_exist(session, &COLUMNS, &exists, err) ||
        (exists && !read_columns(config, session, table->oid, &known, err)))
        return false;
    for (uint32_t i = 0; exists && i < table->ruled_count; i++)
        if (is_other(known, &table->ruled[i]))
            return refuse_copy(table, table->ruled[i].name, err);
    return true;
}
