/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_facts.c - names only: what the catalog says of columns is about the source's.
 */
#include "sinks/mapping/mapped_facts.h"

#include <string.h>

#include "sinks/mapping/match.h"

static const struct column_rule *find_rule(const struct rule *rule, struct slice column) {
    for (size_t i = 0; i < rule->column_count; i++)
        if (rule->columns[i].source == COLUMN_VALUE && slice_equal(slice_of(rule->columns[i].name), column))
            return &rule->columns[i];
    return NULL;
}

static bool name_columns(const struct rule *rule, struct catalog_table *table, struct arena *arena) {
    struct catalog_column *columns = arena_alloc(arena, (table->column_count + 1) * sizeof *columns);
    if (columns == NULL)
        return false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        columns[i] = table->columns[i];
        const struct column_rule *column = columns[i].is_dropped ? NULL : find_rule(rule, columns[i].name);
        if (column != NULL)
            columns[i].sink_name = slice_of(column->drops ? "" : column->as);
    }
    table->columns = columns;
    return true;
}

static bool name_table(const struct rule *rule, struct catalog_table *table, struct arena *arena,
                       struct error *err) {
    struct mapped_name name;
    if (!rule_name(rule, table->schema.data, table->table.data, arena, &name, err))
        return false;
    table->schema = slice_of(name.schema);
    table->table = slice_of(name.table);
    return name_columns(rule, table, arena) || error_no_memory(err);
}

bool mapped_facts_tables(const struct mapping *mapping, const char *sink, const struct catalog_tables *tables,
                         struct arena *arena, const struct catalog_tables **ret_tables, struct error *err) {
    struct catalog_tables *named = arena_alloc(arena, sizeof *named);
    struct catalog_table *copies = arena_alloc(arena, (tables->count + 1) * sizeof *copies);
    if (named == NULL || copies == NULL)
        return error_no_memory(err);
    *named = (struct catalog_tables){.tables = copies};
    for (size_t i = 0; i < tables->count; i++) {
        const struct rule *rule = NULL;
        struct catalog_table *copy = &copies[named->count];
        *copy = tables->tables[i];
        if (!rule_find(mapping, sink, copy->schema.data, copy->table.data, &rule, err) ||
            (rule != NULL && !name_table(rule, copy, arena, err)))
            return false;
        named->count++;
    }
    *ret_tables = named;
    return true;
}
