/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_sql.c - CREATE TABLE from the source's catalog.
 */
#include "sinks/postgres/catalog/table_sql.h"

#include "cdc/pq/identifier.h"
#include "sinks/row_mode.h"

#define VIRTUAL_COLUMNS_VERSION 180000

static void append_column(struct buffer *sql, const struct table_column *column, int target_version) {
    identifier_append(sql, slice_of(column->name));
    buffer_printf(sql, " %s", column->type_sql);
    if (column->collation_sql != NULL)
        buffer_printf(sql, " collate %s", column->collation_sql);
    if (column->generated_sql != NULL) {
        bool is_virtual = column->generated == 'v' && target_version >= VIRTUAL_COLUMNS_VERSION;
        buffer_printf(sql, " generated always as (%s) %s", column->generated_sql,
                      is_virtual ? "virtual" : "stored");
    }
    if (column->not_null)
        buffer_append_text(sql, " not null");
}

static const struct table_column *find_key(const struct table *table, uint32_t key_index) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].key_index == key_index)
            return &table->columns[i];
    return NULL;
}

/* If the publication leaves out a column of the key, the rest is not a key on the target. */
static bool key_is_complete(const struct table *table) {
    uint32_t count = 0, last = 0;
    for (uint32_t i = 0; i < table->column_count; i++) {
        count += table->columns[i].key_index != 0;
        if (table->columns[i].key_index > last)
            last = table->columns[i].key_index;
    }
    return count > 0 && count == last && count == table->key_count;
}

static void append_key(struct buffer *sql, const struct table *table) {
    buffer_append_text(sql, ", primary key (");
    for (uint32_t i = 1; i <= table->key_count; i++) {
        if (i > 1)
            buffer_append_text(sql, ", ");
        identifier_append(sql, slice_of(find_key(table, i)->name));
    }
    buffer_append_text(sql, table->key_is_deferrable ? ") deferrable" : ")");
}

/*
 * Finds the version that a change ends, and makes sure that a row has one. It has current versions only, so a
 * version is written into it once. A primary key of all versions would take as long as their rows.
 */
static void append_current_index(struct buffer *sql, const struct table *table) {
    const char *glue = " (";
    buffer_append_text(sql, "; create unique index on ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    for (uint32_t k = 1; k <= table->key_count; k++) {
        const struct table_column *column = find_key(table, k);
        if (row_mode_owns(slice_of(column->name)))
            continue;
        buffer_append_text(sql, glue);
        identifier_append(sql, slice_of(column->name));
        glue = ", ";
    }
    buffer_append_text(sql, ") where " MODE_NAME_CURRENT);
}

void table_sql_append(struct buffer *sql, const struct table *table, int target_version) {
    buffer_append_text(sql, "create table ");
    identifier_append_qualified(sql, slice_of(table->schema), slice_of(table->name));
    buffer_append_text(sql, " (");
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (i > 0)
            buffer_append_text(sql, ", ");
        append_column(sql, &table->columns[i], target_version);
    }
    if (key_is_complete(table) && table->mode != ROWS_HISTORY)
        append_key(sql, table);
    buffer_append_text(sql, ")");
    if (key_is_complete(table) && table->mode == ROWS_HISTORY)
        append_current_index(sql, table);
}
