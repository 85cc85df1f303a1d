/* SPDX-License-Identifier: Apache-2.0 */
/*
 * own_rows.c - ONLY would leave out the rows of partitions, and a statement that is sent in a pipeline cannot
 * wait for the answer whether the table is partitioned. So each asks itself.
 */
#include "sinks/postgres/catalog/own_rows.h"

#include "cdc/pq/identifier.h"

static void append_oid(struct buffer *sql, struct slice name) {
    literal_append(sql, name);
    buffer_append_text(sql, "::pg_catalog.regclass");
}

void own_rows_append_delete(struct buffer *sql, const char *schema, const char *table,
                            const char *owned_sql) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = sql->bytes_max};
    identifier_append_qualified(&name, slice_of(schema), slice_of(table));
    if (!buffer_ok(&name)) {
        sql->failed = true;
        return;
    }
    buffer_append_text(sql, "delete from ");
    buffer_append_slice(sql, buffer_slice(&name));
    buffer_printf(sql, " where (%s) and (tableoid = ", owned_sql != NULL ? owned_sql : "true");
    append_oid(sql, buffer_slice(&name));
    buffer_append_text(sql, " or (select relkind = 'p' from pg_catalog.pg_class where oid = ");
    append_oid(sql, buffer_slice(&name));
    buffer_append_text(sql, "))");
}

void own_rows_append_exists(struct buffer *sql, const char *schema, const char *table,
                            const char *owned_sql) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = sql->bytes_max};
    const char *condition = owned_sql != NULL ? owned_sql : "true";
    identifier_append_qualified(&name, slice_of(schema), slice_of(table));
    if (!buffer_ok(&name)) {
        sql->failed = true;
        return;
    }
    buffer_append_text(sql, "(exists (select from only ");
    buffer_append_slice(sql, buffer_slice(&name));
    buffer_printf(sql,
                  " where (%s)) or (select relkind = 'p' from pg_catalog.pg_class where oid = ", condition);
    append_oid(sql, buffer_slice(&name));
    buffer_append_text(sql, ") and exists (select from ");
    buffer_append_slice(sql, buffer_slice(&name));
    buffer_printf(sql, " where (%s)))", condition);
}
