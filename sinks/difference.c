/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference.c - merges two ordered results.
 */
#include "sinks/difference.h"

#include <stdlib.h>

#define CAPACITY_MIN 64

void verify_differences_release(struct verify_differences *differences) {
    free(differences->items);
    *differences = (struct verify_differences){0};
}

bool verify_differences_append(struct verify_differences *differences,
                               const struct verify_difference *difference) {
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

static int64_t get_key(const PGresult *result, int row) {
    return row < PQntuples(result) ? strtoll(PQgetvalue(result, row, 0), NULL, 10) : INT64_MAX;
}

static struct verify_sum get_sum(const PGresult *result, int row) {
    return (struct verify_sum){.count = strtoull(PQgetvalue(result, row, 1), NULL, 10),
                               .hash = strtoll(PQgetvalue(result, row, 2), NULL, 10)};
}

bool verify_differences_read(struct verify_differences *differences, const PGresult *source,
                             const PGresult *target, struct error *err) {
    int source_row = 0, target_row = 0;
    while (source_row < PQntuples(source) || target_row < PQntuples(target)) {
        int64_t source_key = get_key(source, source_row), target_key = get_key(target, target_row);
        struct verify_difference difference = {.key = source_key < target_key ? source_key : target_key,
                                               .streak = 1};
        if (source_row < PQntuples(source) && source_key == difference.key)
            difference.source = get_sum(source, source_row++);
        if (target_row < PQntuples(target) && target_key == difference.key)
            difference.target = get_sum(target, target_row++);
        bool is_equal = difference.source.count == difference.target.count &&
                        difference.source.hash == difference.target.hash;
        if (!is_equal && !verify_differences_append(differences, &difference))
            return error_no_memory(err);
    }
    return true;
}

static int compare_key(const void *key, const void *item) {
    int64_t wanted = *(const int64_t *) key, found = ((const struct verify_difference *) item)->key;
    return (wanted > found) - (wanted < found);
}

struct verify_difference *verify_differences_find(const struct verify_differences *differences, int64_t key) {
    if (differences->count == 0)
        return NULL;
    return bsearch(&key, differences->items, differences->count, sizeof *differences->items, compare_key);
}

void verify_counts_add(struct verify_counts *counts, const struct verify_difference *difference) {
    uint64_t source = difference->source.count, target = difference->target.count;
    if (source > target)
        counts->missing += source - target;
    else if (target > source)
        counts->extra += target - source;
    else
        counts->different++;
}
