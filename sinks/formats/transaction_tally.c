/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_tally.c - see transaction_tally.h.
 */
#include "sinks/formats/transaction_tally.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_PLACES = 64 };

void transaction_tally_start(struct transaction_tally *tally, const struct transaction *transaction) {
    tally->transaction = *transaction;
    tally->is_begun = false;
    tally->change_count = 0;
    tally->event_count = 0;
    tally->table_count = 0;
    if (tally->places != NULL)
        memset(tally->places, 0, tally->place_count * sizeof *tally->places);
}

void transaction_tally_release(struct transaction_tally *tally) {
    free(tally->tables);
    free(tally->places);
    *tally = (struct transaction_tally){0};
}

static bool is_named(const struct relation *one, const struct relation *other) {
    return one == other || (slice_equal(one->schema, other->schema) && slice_equal(one->name, other->name));
}

/* FNV-1a over both names, separated by a byte that no name contains. */
static uint64_t hash_of(const struct relation *relation) {
    uint64_t hash = UINT64_C(14695981039346656037);
    for (size_t i = 0; i < relation->schema.size; i++)
        hash = (hash ^ (unsigned char) relation->schema.data[i]) * UINT64_C(1099511628211);
    hash *= UINT64_C(1099511628211);
    for (size_t i = 0; i < relation->name.size; i++)
        hash = (hash ^ (unsigned char) relation->name.data[i]) * UINT64_C(1099511628211);
    return hash;
}

/* The relation's place, or the free place where it belongs. */
static uint32_t *find_place(const struct transaction_tally *tally, const struct relation *relation) {
    const size_t mask = tally->place_count - 1;
    size_t i = hash_of(relation) & mask;
    while (tally->places[i] != 0 && !is_named(tally->tables[tally->places[i] - 1].relation, relation))
        i = (i + 1) & mask;
    return &tally->places[i];
}

static bool grow_places(struct transaction_tally *tally) {
    const size_t count = tally->place_count != 0 ? tally->place_count * 2 : FIRST_PLACES;
    uint32_t *places = calloc(count, sizeof *places);
    if (places == NULL)
        return false;
    free(tally->places);
    tally->places = places;
    tally->place_count = count;
    for (size_t i = 0; i < tally->table_count; i++)
        *find_place(tally, tally->tables[i].relation) = (uint32_t) i + 1;
    return true;
}

static bool grow_tables(struct transaction_tally *tally) {
    const size_t capacity = tally->table_capacity != 0 ? tally->table_capacity * 2 : FIRST_PLACES / 2;
    struct table_count *tables = reallocarray(tally->tables, capacity, sizeof *tables);
    if (tables == NULL)
        return false;
    tally->tables = tables;
    tally->table_capacity = capacity;
    return true;
}

static bool make_room(struct transaction_tally *tally) {
    return (tally->table_count < tally->table_capacity || grow_tables(tally)) &&
           (tally->table_count * 2 < tally->place_count || grow_places(tally));
}

static bool find_table(struct transaction_tally *tally, const struct relation *relation, struct error *err) {
    if (tally->last < tally->table_count && tally->tables[tally->last].relation == relation)
        return true;
    if (!make_room(tally))
        return error_no_memory(err);
    uint32_t *place = find_place(tally, relation);
    if (*place == 0) {
        tally->tables[tally->table_count++] = (struct table_count){.relation = relation};
        *place = (uint32_t) tally->table_count;
    }
    tally->last = *place - 1;
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
