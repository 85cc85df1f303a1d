/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_ranges.c - asks for the bounds, and gives each table its part of them.
 */
#include "cdc/verify/verify_ranges.h"

#include <string.h>

#include "cdc/copy/chunk_plan.h"

enum {
    BYTEA_OID = 17,
    INT8_OID = 20,
    INT2_OID = 21,
    INT4_OID = 23,
    OID_OID = 26,
    DATE_OID = 1082,
    TIMESTAMP_OID = 1114,
    TIMESTAMPTZ_OID = 1184,
    UUID_OID = 2950,
};

/* Types whose order depends on nothing, such as a collation. */
static bool has_one_order(oid_t type) {
    static const oid_t TYPES[] = {BYTEA_OID, INT8_OID,      INT2_OID,        INT4_OID, OID_OID,
                                  DATE_OID,  TIMESTAMP_OID, TIMESTAMPTZ_OID, UUID_OID};
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (TYPES[i] == type)
            return true;
    return false;
}

static bool same_order(oid_t source, oid_t target) {
    return (source == target && has_one_order(source)) ||
           (source == INT2_OID && (target == INT4_OID || target == INT8_OID)) ||
           (source == INT4_OID && target == INT8_OID);
}

static const struct table_column *find_divider(const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].key_index == 1)
            return &table->columns[i];
    return NULL;
}

static bool can_divide(const struct verify_table *compared) {
    const struct table_column *column = find_divider(compared->table);
    return column != NULL && same_order(column->type_oid, compared->comparison->divider_type);
}

static bool is_range(const struct verify_table *compared, const struct chunk *chunk) {
    return chunk->relation_oid == compared->table->oid && chunk->method != CHUNK_WHOLE &&
           strcmp(chunk->column, find_divider(compared->table)->name) == 0;
}

static void take_ranges(struct verify_table *compared, const struct chunk_plan *plan) {
    compared->range_count = 1;
    for (size_t i = 0; i < plan->count; i++) {
        if (!can_divide(compared) || !is_range(compared, &plan->chunks[i]))
            continue;
        if (compared->ranges == NULL)
            compared->ranges = &plan->chunks[i];
        else
            compared->range_count++;
    }
}

bool verify_ranges_make(struct session *source, struct verify_table *tables, size_t count,
                        uint64_t chunk_bytes, struct arena *arena, struct error *err) {
    struct chunk_plan plan = {0};
    const struct chunk_plan_terms terms = {
        .snapshot = CHUNK_SNAPSHOT_OF_NONE, .chunk_bytes = chunk_bytes, .replaces = true};
    struct table *divided = arena_alloc(arena, (count + 1) * sizeof *divided);
    struct table_list list = {.tables = divided};
    if (divided == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        if (tables[i].result != VERIFY_UNDECIDED || !can_divide(&tables[i]))
            continue;
        divided[list.count] = *tables[i].table;
        divided[list.count++].sink_takes_parts = true;
    }
    if (list.count > 0 && chunk_bytes > 0 && !chunk_plan_make(source, &terms, &list, arena, &plan, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        take_ranges(&tables[i], &plan);
        tables[i].range_differs = arena_alloc_zero(arena, tables[i].range_count * sizeof(bool));
        tables[i].column_differs =
            arena_alloc_zero(arena, (tables[i].comparison->column_count + 1) * sizeof(bool));
        if (tables[i].range_differs == NULL || tables[i].column_differs == NULL)
            return error_no_memory(err);
    }
    return true;
}
