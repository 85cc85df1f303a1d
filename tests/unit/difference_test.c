/* SPDX-License-Identifier: Apache-2.0 */
/*
 * difference_test.c - the merge of two sides' sums, on its own and against a naive one.
 */
#include "sinks/difference.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "sinks/postgres/verify/sums.h"

struct sum {
    int64_t key;
    uint64_t count;
    int64_t hash;
};

static PGresult *result_of(const struct sum *sums, size_t count) {
    PGresult *result = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
    PGresAttDesc fields[3] = {
        {.name = (char[]){"key"}}, {.name = (char[]){"count"}}, {.name = (char[]){"hash"}}};
    cr_assert(PQsetResultAttrs(result, 3, fields));
    for (size_t i = 0; i < count; i++) {
        char texts[3][24];
        snprintf(texts[0], sizeof texts[0], "%lld", (long long) sums[i].key);
        snprintf(texts[1], sizeof texts[1], "%llu", (unsigned long long) sums[i].count);
        snprintf(texts[2], sizeof texts[2], "%lld", (long long) sums[i].hash);
        for (int field = 0; field < 3; field++)
            cr_assert(PQsetvalue(result, (int) i, field, texts[field], (int) strlen(texts[field])));
    }
    return result;
}

static struct differences merge(const struct sum *source, size_t source_count, const struct sum *target,
                                size_t target_count) {
    struct comparison_answer answer = {0};
    struct error err;
    PGresult *source_result = result_of(source, source_count),
             *target_result = result_of(target, target_count);
    cr_assert(sums_merge(&answer, source_result, target_result, &err));
    PQclear(source_result);
    PQclear(target_result);
    return answer.differences;
}

Test(difference, equal_sums_leave_nothing) {
    const struct sum sums[] = {{INT64_MIN, 1, 5}, {-1, 2, 6}, {INT64_MAX, 1, 7}};
    struct differences differences = merge(sums, 3, sums, 3);
    cr_assert_eq(differences.count, 0);
    differences_release(&differences);
}

Test(difference, each_kind_is_counted) {
    const struct sum source[] = {{-9, 1, 5}, {1, 3, 7}, {2, 1, 8}, {INT64_MAX, 1, 1}};
    const struct sum target[] = {{-9, 1, 6}, {1, 1, 7}, {5, 4, 9}};
    struct differences differences = merge(source, 4, target, 3);
    struct difference_counts counts = {0};
    for (size_t i = 0; i < differences.count; i++)
        difference_counts_add(&counts, &differences.items[i]);
    cr_assert_eq(counts.different, 1);
    cr_assert_eq(counts.missing, 2 + 1 + 1);
    cr_assert_eq(counts.extra, 4);
    differences_release(&differences);
}

Test(difference, the_same_count_with_another_hash_is_different) {
    const struct sum source[] = {{1, 10, 5}}, target[] = {{1, 10, 6}};
    struct differences differences = merge(source, 1, target, 1);
    cr_assert_eq(differences.count, 1);
    differences_release(&differences);
}

/* Keys ascend by 1 to 3, so that the sides share some. */
static size_t make_side(struct sum *sums, size_t count_max, unsigned int *seed) {
    size_t count = (size_t) rand_r(seed) % (count_max + 1);
    int64_t key = -(int64_t) (count / 2);
    for (size_t i = 0; i < count; i++) {
        key += 1 + rand_r(seed) % 3;
        sums[i] = (struct sum){key, 1 + (uint64_t) (rand_r(seed) % 2), rand_r(seed) % 2};
    }
    return count;
}

static const struct sum *find_sum(const struct sum *sums, size_t count, int64_t key) {
    for (size_t i = 0; i < count; i++)
        if (sums[i].key == key)
            return &sums[i];
    return NULL;
}

Test(difference, agrees_with_a_naive_merge) {
    unsigned int first_seed = (unsigned int) time(NULL);
    for (unsigned int round = 0; round < 500; round++) {
        enum { COUNT_MAX = 30 };
        struct sum source[COUNT_MAX], target[COUNT_MAX];
        unsigned int seed = first_seed + round;
        size_t source_count = make_side(source, COUNT_MAX, &seed),
               target_count = make_side(target, COUNT_MAX, &seed);
        struct differences differences = merge(source, source_count, target, target_count);
        for (int64_t key = -COUNT_MAX; key < 3 * COUNT_MAX; key++) {
            const struct sum *here = find_sum(source, source_count, key),
                             *there = find_sum(target, target_count, key);
            bool same = here == NULL
                            ? there == NULL
                            : there != NULL && here->count == there->count && here->hash == there->hash;
            cr_assert_eq(differences_find(&differences, key) == NULL, same, "key %lld, seed %u",
                         (long long) key, first_seed + round);
        }
        differences_release(&differences);
    }
}

/* However the hashes are divided, and whatever sign a server's remainder has. */
Test(difference, a_sum_of_hashes_does_not_depend_on_the_ranges) {
    const int64_t hashes[] = {INT64_MAX - 1, -5, INT64_MIN + 2, 77, INT64_MAX, -1, 0};
    int64_t whole = 0, first = 0, second = 0;
    for (size_t i = 0; i < sizeof hashes / sizeof *hashes; i++) {
        int64_t *part = i % 2 == 0 ? &first : &second;
        whole = hash_sum_add(whole, hashes[i]);
        *part = hash_sum_add(*part, hashes[i]);
    }
    cr_assert_eq(hash_sum_add(first, second), whole);
    cr_assert_eq(hash_sum_add(second, first), whole);
    cr_assert_eq(hash_sum_subtract(whole, first), second);
    cr_assert_eq(hash_sum_add(0, -1), INT64_MAX - 1, "as its positive remainder");
}
