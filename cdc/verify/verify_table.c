/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_table.c - which sums of one table are asked for.
 *
 * Three times, with a longer mask of the keys each time: none for the whole table, some bits for buckets, all
 * bits for rows. The second sums cover the whole table, the third only the buckets that differ.
 */
#include "cdc/verify/verify_table.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_PER_BUCKET = 256,
    BUCKETS_MAX = 1 << 17,       /* sums of one table in memory, twice */
    COLUMN_ROWS_MAX = 1000,      /* whose columns are compared one by one */
    LOOK_INTO_ROWS_MAX = 200000, /* rows of a table, on both sides together, whose sums are read one by one */
};

#define OPEN_BYTES_MAX (16 << 20)

#define MASK_WHOLE INT64_C(0)
#define MASK_ROWS INT64_C(-1)

/* ---- questions ---- */

static struct comparison_part part_of(const struct verify_table *compared) {
    return (struct comparison_part){.table = compared->comparison,
                                    .range =
                                        compared->ranges != NULL ? &compared->ranges[compared->range] : NULL,
                                    .where_sql = compared->where_sql};
}

/* Keys that were appended as numbers. */
static struct comparison_keys keys_in(const struct buffer *keys) {
    return (struct comparison_keys){.items = (const int64_t *) (const void *) keys->data,
                                    .count = keys->size / sizeof(int64_t)};
}

/* open: the buckets to ask about, or NULL for all. A single bucket is all rows. */
static bool verify_table_sum(const struct verify_table *compared, struct verify_sides *sides, int64_t mask,
                             const struct buffer *open, struct comparison_answer *ret_answer,
                             struct error *err) {
    struct comparison_question question = {.part = part_of(compared), .mask = mask};
    if (open != NULL && !buffer_ok(open))
        return error_no_memory(err);
    if (open != NULL && compared->bucket_mask != MASK_WHOLE) {
        question.open_mask = compared->bucket_mask;
        question.open_keys = keys_in(open);
    }
    return sides->comparison->ops->sum(sides->comparison, &question, ret_answer, err);
}

static bool find_differences(const struct verify_table *compared, struct verify_sides *sides, int64_t mask,
                             const struct buffer *open, struct differences *ret_differences,
                             struct error *err) {
    struct comparison_answer answer = {0};
    const bool found = verify_table_sum(compared, sides, mask, open, &answer, err);
    *ret_differences = answer.differences;
    return found;
}

bool verify_table_hold(const struct verify_table *compared, struct verify_sides *sides, bool *ret_whole,
                       struct error *err) {
    return sides->comparison->ops->hold(sides->comparison, compared->comparison, ret_whole, err);
}

/* ---- narrowing ---- */

static int64_t choose_mask(uint64_t rows) {
    int64_t buckets = 1;
    while (buckets < BUCKETS_MAX && (uint64_t) buckets * ROWS_PER_BUCKET < rows)
        buckets *= 2;
    return buckets - 1;
}

static void append_key(struct buffer *keys, int64_t key) {
    buffer_append(keys, &key, sizeof key);
}

/* If one side has no rows, every row differs and the bucket need not be narrowed. */
static bool is_one_sided(const struct difference *bucket) {
    return bucket->source.count == 0 || bucket->target.count == 0;
}

/* Writes the keys of the buckets to narrow, up to the limits, and keeps only the others in buckets. */
static void take_small(struct differences *buckets, struct buffer *ret_small) {
    uint64_t rows = 0;
    size_t kept = 0;
    for (size_t i = 0; i < buckets->count; i++) {
        const struct difference bucket = buckets->items[i];
        uint64_t bucket_rows = bucket.source.count + bucket.target.count;
        if (is_one_sided(&bucket) || rows + bucket_rows > LOOK_INTO_ROWS_MAX) {
            buckets->items[kept++] = bucket;
        } else {
            append_key(ret_small, bucket.key);
            rows += bucket_rows;
        }
    }
    buckets->count = kept;
}

/* Narrows the open buckets to those that differ, and to the rows that differ in them. */
static bool narrow(const struct verify_table *compared, struct verify_sides *sides, const struct buffer *open,
                   struct differences *ret_buckets, struct differences *ret_rows, struct error *err) {
    const int64_t mask = compared->bucket_mask;
    struct buffer small AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    if (!find_differences(compared, sides, mask, open, ret_buckets, err))
        return false;
    take_small(ret_buckets, &small);
    if (small.size == 0)
        return true;
    return find_differences(compared, sides, MASK_ROWS, &small, ret_rows, err);
}

/* ---- the first time ---- */

static bool compare_whole(struct verify_table *compared, struct verify_sides *sides, uint64_t *ret_rows,
                          bool *ret_equal, struct error *err) {
    struct comparison_answer answer = {0};
    const bool asked = verify_table_sum(compared, sides, MASK_WHOLE, NULL, &answer, err);
    compared->source_rows += answer.source_rows;
    compared->target_rows += answer.target_rows;
    compared->source_hash = hash_sum_add(compared->source_hash, answer.source_hash);
    compared->target_hash = hash_sum_add(compared->target_hash, answer.target_hash);
    compared->faults.duplicate += answer.faults.duplicate;
    compared->faults.foreign += answer.faults.foreign;
    compared->faults.uncounted += answer.faults.uncounted;
    compared->faults.counted += answer.faults.counted;
    *ret_rows = answer.source_rows > answer.target_rows ? answer.source_rows : answer.target_rows;
    *ret_equal = answer.differences.count == 0;
    differences_release(&answer.differences);
    return asked;
}

static bool count_narrowed(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    const struct comparison_part part = part_of(compared);
    uint64_t rows = 0;
    if (!compared->comparison->counts_narrowed)
        return true;
    if (!sides->comparison->ops->count_narrowed(sides->comparison, &part, &rows, err))
        return false;
    compared->narrowed_rows += rows;
    return true;
}

bool verify_table_compare(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    bool is_equal = false;
    uint64_t rows = 0;
    assert(compared->result == VERIFY_UNDECIDED && verify_table_is_settled(compared));
    if (!compare_whole(compared, sides, &rows, &is_equal, err) || !count_narrowed(compared, sides, err))
        return false;
    if (is_equal)
        return true;
    compared->bucket_mask = choose_mask(rows);
    return narrow(compared, sides, NULL, &compared->buckets, &compared->rows, err);
}

/* ---- again ---- */

static bool sums_equal(const struct difference_sum *a, const struct difference_sum *b) {
    return a->count == b->count && a->hash == b->hash;
}

static void grow_streak(struct difference *difference, const struct difference *before) {
    if (before != NULL && sums_equal(&difference->source, &before->source) &&
        sums_equal(&difference->target, &before->target))
        difference->streak = before->streak + 1;
}

/* A row that was compared before and was equal then is settled, whatever changed it since. */
static void keep_rows(const struct verify_table *before, struct differences *rows) {
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct difference row = rows->items[i];
        const struct difference *same = differences_find(&before->rows, row.key);
        bool was_in_bucket = differences_find(&before->buckets, row.key & before->bucket_mask) != NULL;
        if (same == NULL && !was_in_bucket)
            continue;
        grow_streak(&row, same);
        rows->items[kept++] = row;
    }
    rows->count = kept;
}

static void keep_buckets(const struct verify_table *before, struct differences *buckets) {
    for (size_t i = 0; i < buckets->count; i++)
        grow_streak(&buckets->items[i], differences_find(&before->buckets, buckets->items[i].key));
}

static void append_open(const struct verify_table *compared, struct buffer *open) {
    for (size_t i = 0; i < compared->buckets.count; i++)
        append_key(open, compared->buckets.items[i].key);
    for (size_t i = 0; i < compared->rows.count; i++)
        append_key(open, compared->rows.items[i].key & compared->bucket_mask);
}

bool verify_table_compare_again(struct verify_table *compared, struct verify_sides *sides,
                                struct error *err) {
    struct buffer open AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    struct differences buckets AUTO(differences_release) = {0};
    struct differences rows AUTO(differences_release) = {0};
    assert(!verify_table_is_settled(compared));
    append_open(compared, &open);
    if (!narrow(compared, sides, &open, &buckets, &rows, err))
        return false;
    keep_rows(compared, &rows);
    keep_buckets(compared, &buckets);
    struct differences old_rows = compared->rows, old_buckets = compared->buckets;
    compared->rows = rows;
    compared->buckets = buckets;
    rows = old_rows;
    buckets = old_buckets;
    return true;
}

/* ---- some rows ---- */

/* Every bucket has at least one row that differs, so count_max buckets are enough. */
static void open_buckets(const struct verify_table *compared, size_t count_max, unsigned int streak_min,
                         struct buffer *open) {
    uint64_t rows = 0;
    size_t taken = 0;
    for (size_t i = 0; i < compared->buckets.count && taken < count_max && rows < LOOK_INTO_ROWS_MAX; i++) {
        const struct difference *bucket = &compared->buckets.items[i];
        if (bucket->streak < streak_min)
            continue;
        append_key(open, bucket->key);
        rows += bucket->source.count + bucket->target.count;
        taken += is_one_sided(bucket) ? bucket->source.count + bucket->target.count : 1;
    }
}

static bool verify_table_choose(const struct differences *rows, size_t count_max, unsigned int streak_min,
                                struct differences *picked, struct error *err) {
    for (size_t i = 0; i < rows->count && picked->count < count_max; i++)
        if (rows->items[i].streak >= streak_min && !differences_append(picked, &rows->items[i]))
            return error_no_memory(err);
    return true;
}

bool verify_table_pick(const struct verify_table *compared, struct verify_sides *sides, size_t count_max,
                       unsigned int streak_min, struct differences *ret_picked, struct error *err) {
    struct buffer open AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    struct differences found AUTO(differences_release) = {0};
    if (!verify_table_choose(&compared->rows, count_max, streak_min, ret_picked, err))
        return false;
    if (ret_picked->count == count_max || compared->buckets.count == 0)
        return true;
    open_buckets(compared, count_max - ret_picked->count, streak_min, &open);
    return find_differences(compared, sides, MASK_ROWS, &open, &found, err) &&
           verify_table_choose(&found, count_max, 1, ret_picked, err);
}

/* ---- columns ---- */

static bool append_found(const struct verify_table *compared, struct buffer *keys) {
    size_t count = 0;
    for (size_t i = 0; i < compared->rows.count && count < COLUMN_ROWS_MAX; i++) {
        const struct difference *row = &compared->rows.items[i];
        if (row->source.count != 1 || row->target.count != 1)
            continue;
        append_key(keys, row->key);
        count++;
    }
    return count > 0;
}

bool verify_table_find_columns(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    struct buffer found AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    const struct comparison_part part = part_of(compared);
    if (compared->column_differs == NULL || !append_found(compared, &found))
        return true;
    if (!buffer_ok(&found))
        return error_no_memory(err);
    const struct comparison_keys keys = keys_in(&found);
    if (!sides->comparison->ops->find_columns(sides->comparison, &part, &keys, compared->column_differs, err))
        return false;
    for (size_t i = 0; i < compared->comparison->column_count; i++)
        compared->columns_are_known |= compared->column_differs[i];
    return true;
}

bool verify_table_read_rows(const struct verify_table *compared, struct verify_sides *sides,
                            struct verify_key_set *set, struct error *err) {
    struct buffer picked AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    const struct comparison_part part = part_of(compared);
    for (size_t i = 0; i < set->picked.count; i++)
        append_key(&picked, set->picked.items[i].key);
    set->rows = arena_alloc_zero(&set->arena, set->picked.count * sizeof *set->rows);
    if (set->rows == NULL || !buffer_ok(&picked))
        return error_no_memory(err);
    const struct comparison_keys keys = keys_in(&picked);
    return sides->comparison->ops->read_rows(sides->comparison, &part, &keys, &set->arena, set->rows, err);
}

/* ---- the end of a range ---- */

void verify_table_settle(struct verify_table *compared) {
    for (size_t i = 0; i < compared->rows.count; i++)
        difference_counts_add(&compared->counts, &compared->rows.items[i]);
    for (size_t i = 0; i < compared->buckets.count; i++) {
        const struct difference *bucket = &compared->buckets.items[i];
        difference_counts_add(&compared->counts, bucket);
        compared->is_inexact |= !is_one_sided(bucket);
    }
    differences_release(&compared->rows);
    differences_release(&compared->buckets);
}

void verify_table_release(struct verify_table *compared) {
    for (size_t i = 0; i < compared->key_set_count; i++) {
        differences_release(&compared->key_sets[i].picked);
        arena_release(&compared->key_sets[i].arena);
    }
    free(compared->key_sets);
    differences_release(&compared->rows);
    differences_release(&compared->buckets);
}
