/* SPDX-License-Identifier: Apache-2.0 */
/*
 * generated_columns.c - reads the source's catalog.
 */
#include "cdc/source/generated_columns.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* pg_publication_tables would lock each table. A generated column has its expression in pg_attrdef. */
static const char COLUMNS[] =
    "select a.attrelid, a.attname from pg_catalog.pg_attrdef d"
    " join pg_catalog.pg_attribute a on a.attrelid = d.adrelid and a.attnum = d.adnum"
    " join pg_catalog.pg_class c on c.oid = a.attrelid"
    " where a.attgenerated <> '' and not a.attisdropped and c.relkind in ('r', 'p') and c.relpersistence = "
    "'p'";

bool generated_columns_read(struct session *source, struct generated_columns *columns, struct error *err) {
    PGresult *rows AUTO_PGRESULT = NULL;
    if (!session_query(
            source, COLUMNS, 0, NULL,
            &(const struct result_shape){"the query for generated columns", 0, RESULT_ROWS_ANY, 2, 0}, &rows,
            err))
        return error_wrap(err, "reading which columns are generated");
    size_t count = (size_t) PQntuples(rows);
    columns->items = calloc(count + 1, sizeof *columns->items);
    if (columns->items == NULL)
        return error_no_memory(err);
    for (int row = 0; row < PQntuples(rows); row++) {
        struct sink_column *column = &columns->items[columns->count++];
        column->relation_oid = result_oid(rows, row, 0);
        snprintf(column->name, sizeof column->name, "%s", PQgetvalue(rows, row, 1));
    }
    return true;
}

void generated_columns_release(struct generated_columns *columns) {
    free(columns->items);
    *columns = (struct generated_columns){0};
}

bool generated_columns_find(const struct generated_columns *columns, const struct sink_column *column) {
    for (size_t i = 0; i < columns->count; i++)
        if (columns->items[i].relation_oid == column->relation_oid &&
            strcmp(columns->items[i].name, column->name) == 0)
            return true;
    return false;
}
