/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_tally.c - see transaction_tally.h.
 */
#include "sinks/formats/transaction_tally.h"

#include <stdlib.h>

#include "cdc/base/hash.h"

enum { TABLES_MIN = 32 };

void transaction_tally_start(struct transaction_tally *tally, const struct transaction *transaction) {
    tally->transaction = *transaction;
    tally->is_begun = false;
    tally->change_count = 0;
    tally->event_count = 0;
    tally->table_count = 0;
    map_reset(&tally->by_name);
}

void transaction_tally_release(struct transaction_tally *tally) {
    free(tally->tables);
    map_release(&tally->by_name);
    *tally = (struct transaction_tally){0};
}

static bool is_named(const void *object, const void *key) {
    const struct relation *one = ((const struct table_count *) object)->relation, *other = key;
    return one == other || (slice_equal(one->schema, other->schema) && slice_equal(one->name, other->name));
}

static uint64_t hash_of(const struct relation *relation) {
    const uint64_t hash = hash_bytes(0, relation->schema.data, relation->schema.size);
    return hash_bytes(hash, relation->name.data, relation->name.size);
}

static bool note(struct transaction_tally *tally, struct table_count *table) {
    return map_put(&tally->by_name, hash_of(table->relation), is_named, table->relation, table);
}

/* The tables move, so they are noted again. */
static bool grow_tables(struct transaction_tally *tally) {
    const size_t capacity = tally->table_capacity != 0 ? tally->table_capacity * 2 : TABLES_MIN;
    struct table_count *tables = reallocarray(tally->tables, capacity, sizeof *tables);
    if (tables == NULL)
        return false;
    tally->tables = tables;
    tally->table_capacity = capacity;
    map_reset(&tally->by_name);
    for (size_t i = 0; i < tally->table_count; i++)
        if (!note(tally, &tables[i]))
            return false;
    return true;
}

static bool find_table(struct transaction_tally *tally, const struct relation *relation, struct error *err) {
    if (tally->last < tally->table_count && tally->tables[tally->last].relation == relation)
        return true;
    const struct table_count *found = map_find(&tally->by_name, hash_of(relation), is_named, relation);
    if (found != NULL) {
        tally->last = (size_t) (found - tally->tables);
        return true;
    }
    if (tally->table_count == tally->table_capacity && !grow_tables(tally))
        return error_no_memory(err);
    struct table_count *added = &tally->tables[tally->table_count];
    *added = (struct table_count){.relation = relation};
    if (!note(tally, added))
        return error_no_memory(err);
    tally->last = tally->table_count++;
    return true;
}

bool transaction_tally_add(struct transaction_tally *tally, const struct relation *relation,
                           uint64_t *ret_count, struct error *err) {
    if (!find_table(tally, relation, err))
        return false;
    tally->event_count++;
    *ret_count = ++tally->tables[tally->last].change_count;
    return true;
}
