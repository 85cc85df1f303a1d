/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_table_test.c - a table compared by a comparison without a database: both sides are arrays.
 *
 * It proves that cdc/verify asks a sink for nothing but sinks/comparison.h, so a sink of another kind can be
 * verified too. What it finds is compared with a walk over both arrays.
 */
#include "cdc/verify/verify_table.h"

#include <criterion/criterion.h>
#include <stdlib.h>

#include "tests/support/random.h"

#define KEYS 4000

struct row {
    bool exists;
    int64_t hash;
};

struct arrays {
    struct comparison comparison;
    struct row source[KEYS];
    struct row target[KEYS];
    size_t rows_by_key; /* that were summed up one by one */
};

static int64_t key_at(size_t i) {
    return (int64_t) (i * UINT64_C(0x9e3779b97f4a7c15)); /* as hashes are: far apart */
}

static bool is_open(const struct comparison_question *question, int64_t key) {
    for (size_t i = 0; i < question->open_keys.count; i++)
        if (question->open_keys.items[i] == (key & question->open_mask))
            return true;
    return question->open_mask == 0;
}

static void add_row(struct difference_sum *sum, const struct row *row) {
    sum->count += row->exists;
    sum->hash += row->exists ? row->hash : 0;
}

static int compare_keys(const void *a, const void *b) {
    const int64_t one = ((const struct difference *) a)->key, other = ((const struct difference *) b)->key;
    return (one > other) - (one < other);
}

/* Sums of all keys, then those that are equal are left out. */
static bool arrays_sum(struct comparison *comparison, const struct comparison_question *question,
                       struct comparison_answer *ret_answer, struct error *err) {
    struct arrays *arrays = (struct arrays *) comparison;
    struct differences *found = &ret_answer->differences;
    size_t kept = 0;
    (void) err;
    for (size_t i = 0; i < KEYS; i++) {
        const int64_t key = key_at(i) & question->mask;
        size_t at = 0;
        if (!is_open(question, key_at(i)) || (!arrays->source[i].exists && !arrays->target[i].exists))
            continue;
        while (at < found->count && found->items[at].key != key)
            at++;
        if (at == found->count)
            cr_assert(differences_append(found, &(struct difference){.key = key, .streak = 1}));
        add_row(&found->items[at].source, &arrays->source[i]);
        add_row(&found->items[at].target, &arrays->target[i]);
        arrays->rows_by_key += question->mask == -1;
        ret_answer->source_rows += arrays->source[i].exists;
        ret_answer->target_rows += arrays->target[i].exists;
    }
    for (size_t i = 0; i < found->count; i++)
        if (found->items[i].source.count != found->items[i].target.count ||
            found->items[i].source.hash != found->items[i].target.hash)
            found->items[kept++] = found->items[i];
    found->count = kept;
    if (kept > 0)
        qsort(found->items, kept, sizeof *found->items, compare_keys);
    return true;
}

static const struct comparison_ops ARRAYS = {.sum = arrays_sum};

static void fill(struct arrays *arrays, struct random *random, uint32_t faults) {
    for (size_t i = 0; i < KEYS; i++) {
        arrays->source[i] = (struct row){.exists = true, .hash = (int64_t) random_below(random, 1 << 30)};
        arrays->target[i] = arrays->source[i];
    }
    for (uint32_t i = 0; i < faults; i++) {
        const size_t at = random_below(random, KEYS);
        switch (random_below(random, 3)) {
        case 0:
            arrays->source[at].exists = false;
            break;
        case 1:
            arrays->target[at].exists = false;
            break;
        default:
            arrays->target[at].hash++;
        }
    }
}

static struct difference_counts count_naively(const struct arrays *arrays) {
    struct difference_counts counts = {0};
    for (size_t i = 0; i < KEYS; i++) {
        const struct row *source = &arrays->source[i], *target = &arrays->target[i];
        counts.missing += source->exists && !target->exists;
        counts.extra += target->exists && !source->exists;
        counts.different += source->exists && target->exists && source->hash != target->hash;
    }
    return counts;
}

static struct verify_table compare(struct arrays *arrays) {
    static const struct table TABLE = {.schema = "public", .name = "t"};
    static const struct comparison_table COMPARED = {.table = &TABLE};
    struct verify_sides sides = {.comparison = &arrays->comparison};
    struct verify_table compared = {.table = &TABLE, .comparison = &COMPARED, .range_count = 1};
    struct error err;
    arrays->comparison.ops = &ARRAYS;
    cr_assert(verify_table_compare(&compared, &sides, &err));
    return compared;
}

Test(verify_table, equal_sides_are_asked_once) {
    struct random random = random_start("verify_table");
    static struct arrays arrays;
    fill(&arrays, &random, 0);
    struct verify_table compared = compare(&arrays);
    cr_assert(verify_table_is_settled(&compared));
    cr_assert_eq(compared.source_rows, KEYS);
    cr_assert_eq(arrays.rows_by_key, 0);
    verify_table_release(&compared);
}

Test(verify_table, every_row_that_differs_is_found) {
    struct random random = random_start("verify_table");
    static struct arrays arrays;
    for (int round = 0; round < 20; round++) {
        fill(&arrays, &random, 1 + random_below(&random, 40));
        struct verify_table compared = compare(&arrays);
        const struct difference_counts expected = count_naively(&arrays);
        verify_table_settle(&compared);
        cr_assert_eq(compared.counts.missing, expected.missing);
        cr_assert_eq(compared.counts.extra, expected.extra);
        cr_assert_eq(compared.counts.different, expected.different);
        cr_assert_not(compared.is_inexact);
        verify_table_release(&compared);
    }
}

/* Another row of the bucket in which row i is. */
static size_t neighbour_of(const struct verify_table *compared, size_t i) {
    size_t other = 0;
    while (other == i || (key_at(other) & compared->bucket_mask) != (key_at(i) & compared->bucket_mask))
        other++;
    return other;
}

Test(verify_table, only_buckets_that_differ_are_read_by_row) {
    struct random random = random_start("verify_table");
    static struct arrays arrays;
    fill(&arrays, &random, 0);
    arrays.target[7].hash++;
    struct verify_table compared = compare(&arrays);
    cr_assert_eq(compared.rows.count, 1);
    cr_assert_gt(arrays.rows_by_key, 0);
    cr_assert_lt(arrays.rows_by_key, KEYS / 4);
    verify_table_release(&compared);
}

Test(verify_table, a_row_that_was_equal_once_is_settled) {
    struct random random = random_start("verify_table");
    static struct arrays arrays;
    struct error err;
    fill(&arrays, &random, 0);
    arrays.target[7].hash++;
    arrays.target[9].exists = false;
    struct verify_table compared = compare(&arrays);
    struct verify_sides sides = {.comparison = &arrays.comparison};
    cr_assert_eq(compared.rows.count, 2);
    arrays.target[7].hash--;                          /* has arrived */
    arrays.target[neighbour_of(&compared, 9)].hash++; /* was changed since, and was equal before */
    cr_assert(verify_table_compare_again(&compared, &sides, &err));
    cr_assert_eq(compared.rows.count, 1);
    cr_assert_eq(compared.rows.items[0].key, key_at(9));
    cr_assert_eq(compared.rows.items[0].streak, 2);
    verify_table_release(&compared);
}
