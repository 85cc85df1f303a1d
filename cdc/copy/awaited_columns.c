/* SPDX-License-Identifier: Apache-2.0 */
/*
 * awaited_columns.c - a list; a table has at most one entry that waits.
 */
#include "cdc/copy/awaited_columns.h"

#include <stdlib.h>

enum { BLOCK_BYTES = 16 * 1024 };
#define TABLE_BYTES_MAX ((size_t) 64 << 20)

void awaited_columns_init(struct awaited_columns *awaited) {
    *awaited = (struct awaited_columns){0};
    pthread_mutex_init(&awaited->lock, NULL);
}

static void free_table(struct awaited_table *table) {
    arena_release(&table->arena);
    free(table);
}

void awaited_columns_release(struct awaited_columns *awaited) {
    while (awaited->first != NULL) {
        struct awaited_table *table = awaited->first;
        awaited->first = table->next;
        free_table(table);
    }
    pthread_mutex_destroy(&awaited->lock);
}

static struct awaited_table *find_awaited_table(const struct awaited_columns *awaited, oid_t oid,
                                                bool is_told) {
    struct awaited_table *table = awaited->first;
    while (table != NULL && (table->relation->oid != oid || table->is_told != is_told))
        table = table->next;
    return table;
}

static bool has_table(struct awaited_columns *awaited, oid_t oid, bool is_told) {
    pthread_mutex_lock(&awaited->lock);
    const bool has = find_awaited_table(awaited, oid, is_told) != NULL;
    pthread_mutex_unlock(&awaited->lock);
    return has;
}

bool awaited_columns_has(struct awaited_columns *awaited, oid_t oid) {
    return has_table(awaited, oid, false);
}

bool awaited_columns_is_told(struct awaited_columns *awaited, oid_t oid) {
    return has_table(awaited, oid, true);
}

/* ---- a definition from the catalog ---- */

static bool keep_name(struct arena *arena, const char *text, struct slice *ret_name) {
    const struct slice name = slice_of(text);
    *ret_name = (struct slice){.data = arena_copy(arena, name), .size = name.size};
    return ret_name->data != NULL;
}

static bool fill_columns_of(struct arena *arena, const struct table *table, struct relation *relation) {
    relation->columns = arena_alloc_zero(arena, (table->column_count + 1) * sizeof *relation->columns);
    if (relation->columns == NULL)
        return false;
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_column *of_table = &table->columns[i];
        struct column *column = &relation->columns[relation->column_count++];
        column->type_oid = of_table->type_oid;
        column->type_modifier = of_table->type_modifier;
        column->number = of_table->number;
        column->is_key = of_table->in_identity;
        relation->key_count += of_table->in_identity;
        if (!keep_name(arena, of_table->name, &column->name) ||
            !keep_name(arena, of_table->type_schema, &column->type_schema) ||
            !keep_name(arena, of_table->type_name, &column->type_name))
            return false;
    }
    return true;
}

/* It is of the place of the definition, so the numbers are certain: as if triggers had told them. */
static const struct catalog_table *certain_catalog(struct arena *arena, const struct catalog_table *catalog) {
    struct catalog_table now = *catalog;
    now.then = catalog;
    return catalog_table_copy(&now, arena);
}

static const struct relation *make_relation(struct arena *arena, const struct table *table,
                                            const struct catalog_table *catalog) {
    struct relation *relation = arena_alloc_zero(arena, sizeof *relation);
    if (relation == NULL)
        return NULL;
    relation->oid = table->oid;
    relation->identity = (enum replica_identity) table->identity;
    relation->catalog = certain_catalog(arena, catalog);
    return relation->catalog != NULL && keep_name(arena, table->schema, &relation->schema) &&
                   keep_name(arena, table->name, &relation->name) && fill_columns_of(arena, table, relation)
               ? relation
               : NULL;
}

bool awaited_columns_add(struct awaited_columns *awaited, const struct table *table,
                         const struct catalog_table *catalog, lsn_t lsn, struct error *err) {
    struct awaited_table *added = calloc(1, sizeof *added);
    if (added == NULL)
        return error_no_memory(err);
    arena_init(&added->arena, BLOCK_BYTES, TABLE_BYTES_MAX);
    added->relation = make_relation(&added->arena, table, catalog);
    added->lsn = lsn;
    if (added->relation == NULL) {
        free_table(added);
        return error_no_memory(err);
    }
    pthread_mutex_lock(&awaited->lock);
    const bool is_first = find_awaited_table(awaited, table->oid, false) == NULL;
    if (is_first) {
        added->next = awaited->first;
        awaited->first = added;
        atomic_fetch_add(&awaited->waiting_count, 1);
    }
    pthread_mutex_unlock(&awaited->lock);
    if (!is_first)
        free_table(added);
    return true;
}

/* ---- the runner ---- */

struct awaited_table *awaited_columns_take(struct awaited_columns *awaited, lsn_t passed_lsn) {
    if (atomic_load_explicit(&awaited->waiting_count, memory_order_relaxed) == 0)
        return NULL;
    pthread_mutex_lock(&awaited->lock);
    struct awaited_table *table = awaited->first;
    while (table != NULL && (table->is_told || table->is_taken || table->lsn > passed_lsn))
        table = table->next;
    if (table != NULL)
        table->is_taken = true;
    pthread_mutex_unlock(&awaited->lock);
    return table;
}

static void unlink_table(struct awaited_columns *awaited, const struct awaited_table *table) {
    struct awaited_table **place = &awaited->first;
    while (*place != table)
        place = &(*place)->next;
    *place = table->next;
}

void awaited_columns_end(struct awaited_columns *awaited, struct awaited_table *table, bool is_told) {
    pthread_mutex_lock(&awaited->lock);
    const bool keeps = is_told && find_awaited_table(awaited, table->relation->oid, true) == NULL;
    table->is_told = keeps;
    if (!keeps)
        unlink_table(awaited, table);
    atomic_fetch_sub(&awaited->waiting_count, 1);
    pthread_mutex_unlock(&awaited->lock);
    if (!keeps)
        free_table(table);
}
