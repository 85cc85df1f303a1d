/* SPDX-License-Identifier: Apache-2.0 */
/*
 * told_tables.c - a definition is compared by its contents each time; numbers only when it is another one, or
 * the catalog was asked anew.
 */
#include "sinks/kafka/definitions/told_tables.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mapping/column_trace.h"

enum { TOLD_BLOCK_BYTES = 16 * 1024, OID_TEXT_MAX = 16 };

#define TOLD_BYTES_MAX ((size_t) 1 << 30)

struct told_table {
    struct schema_record record;
    /* whose numbers were looked at last; only compared, since they may be gone */
    const struct relation *seen;
    const struct catalog_table *seen_catalog;
};

void told_tables_release(struct told_tables *told) {
    map_release(&told->tables);
    if (told->has_arena)
        arena_release(&told->arena);
    *told = (struct told_tables){0};
}

static void begin_arena(struct told_tables *told) {
    if (!told->has_arena)
        arena_init(&told->arena, TOLD_BLOCK_BYTES, TOLD_BYTES_MAX);
    told->has_arena = true;
}

static struct told_table *told_of(const struct told_tables *told, oid_t oid) {
    return map_find_number(&told->tables, oid);
}

static struct told_table *make_told(struct told_tables *told, oid_t oid) {
    struct told_table *table = told_of(told, oid);
    begin_arena(told);
    if (table == NULL)
        table = arena_alloc_zero(&told->arena, sizeof *table);
    return table != NULL && map_put_number(&told->tables, oid, table) ? table : NULL;
}

/* ---- what is stored ---- */

static bool oid_of(struct slice name, oid_t *ret_oid) {
    char digits[OID_TEXT_MAX];
    const size_t prefix = strlen(TOLD_NAME_PREFIX), size = name.size - prefix;
    if (size == 0 || size >= sizeof digits)
        return false;
    memcpy(digits, name.data + prefix, size);
    digits[size] = '\0';
    const unsigned long number = strtoul(digits, NULL, 10);
    *ret_oid = (oid_t) number;
    return digits[strspn(digits, "0123456789")] == '\0' && number > 0 && number <= UINT32_MAX;
}

bool told_tables_take(void *context, struct slice name, struct slice value, struct error *err) {
    struct told_tables *told = context;
    const size_t prefix = strlen(TOLD_NAME_PREFIX);
    struct schema_record record = {0};
    oid_t oid = 0;
    if (name.size < prefix || memcmp(name.data, TOLD_NAME_PREFIX, prefix) != 0)
        return true;
    if (!oid_of(name, &oid))
        return error_set(err, ERROR_PROTOCOL, "it is no definition of a table");
    begin_arena(told);
    if (value.data != NULL && !schema_record_read(value, &told->arena, &record, err))
        return false;
    struct told_table *table = make_told(told, oid);
    if (table == NULL)
        return error_no_memory(err);
    *table = (struct told_table){.record = record}; /* without columns and name: it was removed */
    return true;
}

/* ---- a definition ---- */

static const struct relation *source_of(const struct relation *relation) {
    return relation->mapped_from != NULL ? relation->mapped_from : relation;
}

static struct slice type_schema_of(const struct column *column) {
    const struct slice none = {.data = "", .size = 0};
    return slice_equal(column->type_schema, slice_of("pg_catalog")) ? none : column->type_schema;
}

/* As records have it. */
static bool is_told_key(const struct relation *relation, const struct column *column) {
    return column->is_key && relation->identity != REPLICA_IDENTITY_FULL;
}

static bool is_same_column(const struct schema_column *told, const struct relation *relation,
                           const struct column *column) {
    return told->type_modifier == column->type_modifier && told->is_key == is_told_key(relation, column) &&
           slice_equal(told->name, column->name) && slice_equal(told->type_name, column->type_name) &&
           slice_equal(told->type_schema, type_schema_of(column));
}

static bool has_same_columns(const struct schema_record *told, const struct relation *relation) {
    bool is_same = told->column_count == relation->column_count && told->identity == relation->identity &&
                   slice_equal(told->schema, relation->schema) && slice_equal(told->table, relation->name);
    for (uint32_t i = 0; i < relation->column_count && is_same; i++)
        is_same = is_same_column(&told->columns[i], relation, &relation->columns[i]);
    return is_same;
}

/* Of the source's column that this one is; 0: there is none, or it is not certain which. */
static uint32_t number_of(const struct relation *relation, uint32_t index) {
    const struct relation *source = source_of(relation);
    const uint32_t place = source == relation ? index + 1 : relation->columns[index].source_place;
    if (place == 0)
        return 0;
    if (source->columns[place - 1].number != 0)
        return source->columns[place - 1].number;
    return source->catalog != NULL ? column_trace_number(source, place - 1) : 0;
}

static struct schema_column describe_column(const struct relation *relation, uint32_t index) {
    const struct column *column = &relation->columns[index];
    return (struct schema_column){.name = column->name,
                                  .type_schema = type_schema_of(column),
                                  .type_name = column->type_name,
                                  .type_modifier = column->type_modifier,
                                  .is_key = is_told_key(relation, column),
                                  .number = number_of(relation, index)};
}

static bool build_record(const struct change *change, const struct relation *relation, struct arena *arena,
                         struct schema_record *ret_record, struct error *err) {
    *ret_record = (struct schema_record){.schema = relation->schema,
                                         .table = relation->name,
                                         .oid = relation->oid,
                                         .identity = relation->identity,
                                         .commit_lsn = change->transaction->commit_lsn,
                                         .index = change->index,
                                         .commit_time_us = change->transaction->commit_time_us,
                                         .lsn = change->lsn,
                                         .column_count = relation->column_count};
    ret_record->columns = arena_alloc_zero(arena, (relation->column_count + 1) * sizeof *ret_record->columns);
    if (ret_record->columns == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < relation->column_count; i++)
        ret_record->columns[i] = describe_column(relation, i);
    return true;
}

static const struct schema_column *find_number(const struct schema_record *record, uint32_t number) {
    for (uint32_t i = 0; number != 0 && i < record->column_count; i++)
        if (record->columns[i].number == number)
            return &record->columns[i];
    return NULL;
}

/* What the definition before says about the new one. */
static void compare_names(const struct schema_record *before, struct schema_record *record) {
    if (!slice_equal(before->schema, record->schema) || !slice_equal(before->table, record->table)) {
        record->old_schema = before->schema;
        record->old_table = before->table;
    }
    for (uint32_t i = 0; i < record->column_count; i++) {
        struct schema_column *column = &record->columns[i];
        const struct schema_column *same = find_number(before, column->number);
        if (same != NULL && !slice_equal(same->name, column->name))
            column->renamed_from = same->name;
    }
}

/* Names and types are the same: is it another column nevertheless? Numbers that are known now are kept. */
static bool is_other_by_number(struct schema_record *before, const struct schema_record *record) {
    bool is_other = false;
    for (uint32_t i = 0; i < record->column_count; i++) {
        const uint32_t now = record->columns[i].number;
        is_other =
            is_other || (now != 0 && before->columns[i].number != 0 && before->columns[i].number != now);
    }
    for (uint32_t i = 0; i < record->column_count && !is_other; i++)
        if (before->columns[i].number == 0)
            before->columns[i].number = record->columns[i].number;
    return is_other;
}

/* ---- a change ---- */

static bool is_seen(const struct told_table *table, const struct relation *relation) {
    return table->seen == relation && table->seen_catalog == source_of(relation)->catalog;
}

static void see(struct told_table *table, const struct relation *relation) {
    table->seen = relation;
    table->seen_catalog = source_of(relation)->catalog;
}

static bool is_invisible(const struct change *change, const struct relation *relation) {
    const struct catalog_table *catalog = source_of(relation)->catalog;
    return change->kind != CHANGE_READ && catalog != NULL && catalog->locked_by != 0 &&
           catalog->locked_by == change->transaction->xid;
}

bool told_tables_compare(struct told_tables *told, const struct change *change,
                         const struct relation *relation, struct arena *arena,
                         struct schema_record *ret_record, bool *ret_is_new, struct error *err) {
    struct told_table *table = told_of(told, relation->oid);
    const bool is_same = table != NULL && has_same_columns(&table->record, relation);
    *ret_is_new = false;
    if (is_same && is_seen(table, relation))
        return true;
    if (is_invisible(change, relation))
        return error_set(err, ERROR_RETRY,
                         "source: table %s.%s is altered by a transaction that was sent and is not visible "
                         "there yet",
                         relation->schema.data, relation->name.data);
    if (!build_record(change, relation, arena, ret_record, err))
        return false;
    *ret_is_new = !is_same || is_other_by_number(&table->record, ret_record);
    if (!*ret_is_new)
        see(table, relation);
    else if (table != NULL && table->record.table.size > 0)
        compare_names(&table->record, ret_record);
    return true;
}

static bool keep_text(struct arena *arena, struct slice *text) {
    const char *copy = arena_copy(arena, *text);
    text->data = copy;
    return copy != NULL;
}

static bool keep_column(struct arena *arena, struct schema_column *column) {
    column->renamed_from = (struct slice){0};
    return keep_text(arena, &column->name) && keep_text(arena, &column->type_schema) &&
           keep_text(arena, &column->type_name);
}

static bool keep_record(struct arena *arena, struct schema_record *record) {
    const struct schema_column *columns = record->columns;
    const size_t bytes = (record->column_count + 1) * sizeof *columns;
    bool is_kept = keep_text(arena, &record->schema) && keep_text(arena, &record->table);
    record->old_schema = record->old_table = (struct slice){0};
    record->columns = arena_alloc_zero(arena, bytes);
    is_kept = is_kept && record->columns != NULL;
    for (uint32_t i = 0; i < record->column_count && is_kept; i++) {
        record->columns[i] = columns[i];
        is_kept = keep_column(arena, &record->columns[i]);
    }
    return is_kept;
}

bool told_tables_note(struct told_tables *told, const struct schema_record *record,
                      const struct relation *relation, struct error *err) {
    struct told_table *table = make_told(told, record->oid);
    struct schema_record kept = *record;
    if (table == NULL || !keep_record(&told->arena, &kept))
        return error_no_memory(err);
    table->record = kept;
    see(table, relation);
    return true;
}

oid_t told_tables_oid_at(const struct told_tables *told, size_t slot) {
    const struct told_table *table = map_at(&told->tables, slot);
    return table != NULL ? table->record.oid : 0;
}
