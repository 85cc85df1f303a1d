/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference.c - keeps and finds keys that differ.
 */
#include "sinks/difference.h"

#include <stdlib.h>

#define CAPACITY_MIN 64

void differences_release(struct differences *differences) {
    free(differences->items);
    *differences = (struct differences){0};
}

bool differences_append(struct differences *differences, const struct difference *difference) {
    if (differences->count == differences->capacity) {
        size_t capacity = differences->capacity == 0 ? CAPACITY_MIN : differences->capacity * 2;
        void *items = reallocarray(differences->items, capacity, sizeof *differences->items);
        if (items == NULL)
            return false;
        differences->items = items;
        differences->capacity = capacity;
    }
    differences->items[differences->count++] = *difference;
    return true;
}

static int compare_key(const void *key, const void *item) {
    int64_t wanted = *(const int64_t *) key, found = ((const struct difference *) item)->key;
    return (wanted > found) - (wanted < found);
}

struct difference *differences_find(const struct differences *differences, int64_t key) {
    if (differences->count == 0)
        return NULL;
    return bsearch(&key, differences->items, differences->count, sizeof *differences->items, compare_key);
}

void difference_counts_add(struct difference_counts *counts, const struct difference *difference) {
    uint64_t source = difference->source.count, target = difference->target.count;
    if (source > target)
        counts->missing += source - target;
    else if (target > source)
        counts->extra += target - source;
    else
        counts->different++;
}

/* A server's remainder has the sign of its sum. */
static uint64_t hash_sum_of(int64_t hash) {
    const int64_t rest = hash % HASH_SUM_MODULUS;
    return (uint64_t) (rest < 0 ? rest + HASH_SUM_MODULUS : rest);
}

int64_t hash_sum_add(int64_t sum, int64_t hash) {
    return (int64_t) ((hash_sum_of(sum) + hash_sum_of(hash)) % HASH_SUM_MODULUS);
}

int64_t hash_sum_subtract(int64_t sum, int64_t hash) {
    return (int64_t) ((hash_sum_of(sum) + HASH_SUM_MODULUS - hash_sum_of(hash)) % HASH_SUM_MODULUS);
}
