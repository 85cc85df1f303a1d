/* SPDX-License-Identifier: Apache-2.0 */
/*
 * catalog_table.c - finds, copies and compares what the source's catalog says about tables.
 */
#include "decoder/catalog_table.h"

#include <stdlib.h>
#include <string.h>

static int compare_table(const void *key, const void *table) {
    const oid_t a = *(const oid_t *) key, b = ((const struct catalog_table *) table)->oid;
    return (a > b) - (a < b);
}

const struct catalog_table *catalog_tables_find(const struct catalog_tables *tables, oid_t oid) {
    return tables->count == 0
               ? NULL
               : bsearch(&oid, tables->tables, tables->count, sizeof *tables->tables, compare_table);
}

static bool copy_text(struct arena *arena, struct slice *text) {
    if (text->data == NULL)
        return true;
    text->data = arena_copy(arena, *text);
    return text->data != NULL;
}

const struct catalog_table *catalog_table_copy(const struct catalog_table *table, struct arena *arena) {
    struct catalog_table *copy = arena_alloc(arena, sizeof *copy);
    struct catalog_column *columns = arena_alloc(arena, (table->column_count + 1) * sizeof *columns);
    if (copy == NULL || columns == NULL)
        return NULL;
    *copy = *table;
    copy->columns = columns;
    bool copied =
        copy_text(arena, &copy->storage) && copy_text(arena, &copy->schema) && copy_text(arena, &copy->table);
    for (uint32_t i = 0; copied && i < table->column_count; i++) {
        columns[i] = table->columns[i];
        copied = copy_text(arena, &columns[i].name) && copy_text(arena, &columns[i].type_sql) &&
                 copy_text(arena, &columns[i].collation_sql) && copy_text(arena, &columns[i].missing);
    }
    if (copied && table->then != NULL) {
        copy->then = catalog_table_copy(table->then, arena);
        copied = copy->then != NULL;
    }
    return copied ? copy : NULL;
}

/* The second one is empty if there is no blank. */
static void split_storage(struct slice storage, struct slice *ret_files, struct slice *ret_version) {
    const char *blank = storage.size > 0 ? memchr(storage.data, ' ', storage.size) : NULL;
    const size_t size = blank != NULL ? (size_t) (blank - storage.data) : storage.size;
    *ret_files = (struct slice){.data = storage.data, .size = size};
    *ret_version = (struct slice){.data = storage.data + size, .size = storage.size - size};
}

bool catalog_storage_has_same_files(struct slice before, struct slice now) {
    struct slice files[2], versions[2];
    split_storage(before, &files[0], &versions[0]);
    split_storage(now, &files[1], &versions[1]);
    return slice_equal(files[0], files[1]);
}

bool catalog_storage_is_rewritten(struct slice before, struct slice now) {
    struct slice files[2], versions[2];
    split_storage(before, &files[0], &versions[0]);
    split_storage(now, &files[1], &versions[1]);
    return !slice_equal(files[0], files[1]) && versions[0].size > 0 && versions[1].size > 0 &&
           !slice_equal(versions[0], versions[1]);
}

static bool column_same(const struct catalog_column *a, const struct catalog_column *b) {
    if (a->is_dropped || b->is_dropped)
        return a->is_dropped == b->is_dropped;
    return a->type_oid == b->type_oid && a->type_modifier == b->type_modifier &&
           a->has_default == b->has_default && slice_equal(a->name, b->name) &&
           slice_equal(a->type_sql, b->type_sql) && slice_equal(a->collation_sql, b->collation_sql) &&
           (a->missing.data == NULL) == (b->missing.data == NULL) && slice_equal(a->missing, b->missing);
}

bool catalog_table_equal(const struct catalog_table *a, const struct catalog_table *b) {
    if (a == NULL || b == NULL)
        return a == b;
    if (a->sends_part != b->sends_part || a->column_count != b->column_count ||
        !slice_equal(a->storage, b->storage))
        return false;
    for (uint32_t i = 0; i < a->column_count; i++)
        if (!column_same(&a->columns[i], &b->columns[i]))
            return false;
    return catalog_table_equal(a->then, b->then);
}
