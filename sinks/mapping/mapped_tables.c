/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapped_tables.c - carries names to the sink, and what it answers back.
 */
#include "sinks/mapping/mapped_tables.h"

#include <string.h>

#include "sinks/mapping/owned.h"
#include "sinks/mapping/table_expressions.h"

enum { BLOCK_BYTES = 64 * 1024 };

#define TABLES_BYTES_MAX ((size_t) 1 << 30)

void mapped_tables_init(struct mapped_tables *tables) {
    *tables = (struct mapped_tables){0};
    arena_init(&tables->arena, BLOCK_BYTES, TABLES_BYTES_MAX);
}

void mapped_tables_release(struct mapped_tables *tables) {
    arena_release(&tables->arena);
    *tables = (struct mapped_tables){0};
}

static bool refuse_same(const struct table *one, const struct table *other, const struct table *mapped,
                        struct error *err) {
    return error_set(err, ERROR_CONFIG, "mapping: tables %s.%s and %s.%s would both be %s.%s in the sink",
                     one->schema, one->name, other->schema, other->name, mapped->schema, mapped->name);
}

static bool check_names_differ(const struct mapped_tables *tables, struct error *err) {
    for (size_t i = 0; i < tables->count; i++)
        for (size_t k = 0; k < i; k++)
            if (strcmp(tables->tables[i].name, tables->tables[k].name) == 0 &&
                strcmp(tables->tables[i].schema, tables->tables[k].schema) == 0 &&
                !owned_apart(tables->maps[i].rule, tables->maps[i].source_name, tables->maps[k].rule,
                             tables->maps[k].source_name))
                return refuse_same(&tables->sources[k], &tables->sources[i], &tables->tables[i], err);
    return true;
}

bool mapped_tables_make(struct mapped_tables *tables, const struct mapping *mapping, const char *sink,
                        const struct table *sources, size_t count, struct evaluator *evaluator,
                        struct error *err) {
    arena_reset(&tables->arena);
    tables->sources = sources;
    tables->count = count;
    tables->tables = arena_alloc_zero(&tables->arena, (count + 1) * sizeof *tables->tables);
    tables->maps = arena_alloc_zero(&tables->arena, (count + 1) * sizeof *tables->maps);
    if (tables->tables == NULL || tables->maps == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        if (!table_map_table(mapping, sink, &sources[i], &tables->arena, &tables->maps[i], &tables->tables[i],
                             err) ||
            (evaluator != NULL &&
             !table_expressions_of_table(evaluator, &sources[i], &tables->maps[i], &tables->tables[i], err)))
            return false;
    return check_names_differ(tables, err);
}

size_t mapped_tables_find(const struct mapped_tables *tables, oid_t oid) {
    size_t i = 0;
    while (i < tables->count && tables->sources[i].oid != oid)
        i++;
    return i;
}

bool mapped_tables_keep(const struct mapped_tables *tables, size_t i) {
    return tables->maps[i].rule == NULL || tables->maps[i].keeps_rows;
}

/* Without a rule both have the same columns. */
void mapped_tables_take_columns(const struct mapped_tables *tables) {
    for (size_t i = 0; i < tables->count; i++)
        for (uint32_t k = 0; k < tables->maps[i].column_count; k++) {
            const int32_t from = tables->maps[i].columns[k].from;
            if (from == COLUMN_ADDED)
                continue;
            struct table_column *source = &tables->sources[i].columns[from];
            source->left_to_sink = tables->tables[i].columns[k].left_to_sink;
            source->sink_takes_binary = tables->tables[i].columns[k].sink_takes_binary;
        }
}

/* The key's first column, by which a table is divided: is its value the source's in the sink? */
static bool keeps_divider(const struct mapped_tables *tables, size_t i) {
    bool is_kept = tables->maps[i].rule == NULL;
    for (uint32_t k = 0; k < tables->maps[i].column_count; k++) {
        const struct mapped_column *column = &tables->maps[i].columns[k];
        if (column->from != COLUMN_ADDED && tables->sources[i].columns[column->from].key_index == 1)
            is_kept = !mapped_column_is_made(column);
    }
    return is_kept;
}

void mapped_tables_take_parts(const struct mapped_tables *tables, struct table *sources) {
    for (size_t i = 0; i < tables->count; i++)
        sources[i].sink_takes_parts = tables->tables[i].sink_takes_parts && keeps_divider(tables, i);
}

struct chunk mapped_tables_chunk(const struct mapped_tables *tables, size_t i, const struct chunk *chunk) {
    struct chunk mapped = *chunk;
    const struct table_map *map = &tables->maps[i];
    mapped.schema = tables->tables[i].schema;
    mapped.table = tables->tables[i].name;
    mapped.owned_sql = tables->tables[i].owned_sql;
    for (uint32_t k = 0; chunk->column != NULL && k < map->column_count; k++)
        if (map->columns[k].from != COLUMN_ADDED &&
            strcmp(tables->sources[i].columns[map->columns[k].from].name, chunk->column) == 0)
            mapped.column = tables->tables[i].columns[k].name;
    return mapped;
}
