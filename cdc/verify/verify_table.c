/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_table.c - the queries about one table.
 *
 *     select k & mask, count(*), sum(h) from (select hash(key) as k, hash(row) as h from table) rows
 *     group by 1
 *
 * It runs three times with a longer mask each time: none for the whole table, some bits for buckets, all bits
 * for rows. The second query covers the whole table, the third only the buckets that differ.
 */
#include "cdc/verify/verify_table.h"

#include "cdc/base/buffer.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROWS_PER_BUCKET = 256,
    BUCKETS_MAX = 1 << 17,       /* sums of one table in memory, twice */
    LOOK_INTO_ROWS_MAX = 200000, /* rows of a table, on both sides together, whose sums are read one by one */
};

#define SQL_BYTES_MAX (16 << 20)
#define OPEN_BYTES_MAX (16 << 20)

#define MASK_WHOLE INT64_C(0)
#define MASK_ROWS INT64_C(-1)

/* ---- questions ---- */

/* Sums are taken modulo the largest bigint, so that they fit in one. */
static void append_question(struct buffer *sql, const struct verify_expression *side, int64_t mask,
                            int64_t open_mask) {
    buffer_printf(sql,
                  "select k & %lld, count(*), (sum(h) %% 9223372036854775807)::bigint"
                  " from (select %s as k, %s as h from %s) rows",
                  (long long) mask, mask == MASK_WHOLE ? "0::bigint" : side->key, side->row, side->from);
    if (open_mask != MASK_WHOLE)
        buffer_printf(sql, " where k & %lld = any($1::bigint[])", (long long) open_mask);
    buffer_append_text(sql, " group by 1 order by 1");
}

/* open_keys: an array of the buckets to query, or NULL for all. A single bucket is all rows. */
static bool verify_table_ask(const struct verify_table *compared, struct verify_sides *sides, int64_t mask,
                             const char *open_keys, struct verify_answers *ret_answers, struct error *err) {
    bool is_all = open_keys == NULL || compared->bucket_mask == MASK_WHOLE;
    int64_t open_mask = is_all ? MASK_WHOLE : compared->bucket_mask;
    struct buffer source_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer target_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    append_question(&source_sql, &compared->expressions.source, mask, open_mask);
    append_question(&target_sql, &compared->expressions.target, mask, open_mask);
    if (buffer_text(&source_sql) == NULL || buffer_text(&target_sql) == NULL)
        return error_no_memory(err);
    const struct verify_question question = {.source_sql = source_sql.data,
                                             .target_sql = target_sql.data,
                                             .parameter = is_all ? NULL : open_keys,
                                             .shape = {"the query for sums", 0, RESULT_ROWS_ANY, 3, 0}};
    if (!verify_sides_ask(sides, &question, ret_answers, err))
        return error_wrap(err, "comparing %s.%s", compared->table->schema, compared->table->name);
    return true;
}

static bool find_differences(const struct verify_table *compared, struct verify_sides *sides, int64_t mask,
                             const char *open_keys, struct verify_differences *ret_differences,
                             struct error *err) {
    struct verify_answers answers AUTO(verify_answers_release) = {0};
    return verify_table_ask(compared, sides, mask, open_keys, &answers, err) &&
           verify_differences_read(ret_differences, answers.source, answers.target, err);
}

/* ---- narrowing ---- */

static int64_t choose_mask(uint64_t rows) {
    int64_t buckets = 1;
    while (buckets < BUCKETS_MAX && (uint64_t) buckets * ROWS_PER_BUCKET < rows)
        buckets *= 2;
    return buckets - 1;
}

static void append_open(struct buffer *open, int64_t key) {
    buffer_printf(open, "%s%lld", open->size == 0 ? "{" : ",", (long long) key);
}

static const char *close_open(struct buffer *open) {
    buffer_append_text(open, open->size == 0 ? "{}" : "}");
    return buffer_text(open);
}

/* If one side has no rows, every row differs and the bucket need not be narrowed. */
static bool is_one_sided(const struct verify_difference *bucket) {
    return bucket->source.count == 0 || bucket->target.count == 0;
}

/* Writes the keys of the buckets to narrow, up to the limits, and keeps only the others in buckets. */
static void take_small(struct verify_differences *buckets, struct buffer *ret_small) {
    uint64_t rows = 0;
    size_t kept = 0;
    for (size_t i = 0; i < buckets->count; i++) {
        const struct verify_difference bucket = buckets->items[i];
        uint64_t bucket_rows = bucket.source.count + bucket.target.count;
        if (is_one_sided(&bucket) || rows + bucket_rows > LOOK_INTO_ROWS_MAX) {
            buckets->items[kept++] = bucket;
        } else {
            append_open(ret_small, bucket.key);
            rows += bucket_rows;
        }
    }
    buckets->count = kept;
}

/* Narrows the open buckets to those that differ, and to the rows that differ in them. */
static bool narrow(const struct verify_table *compared, struct verify_sides *sides, const char *open_keys,
                   struct verify_differences *ret_buckets, struct verify_differences *ret_rows,
                   struct error *err) {
    const int64_t mask = compared->bucket_mask;
    struct buffer small AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    if (!find_differences(compared, sides, mask, open_keys, ret_buckets, err))
        return false;
    take_small(ret_buckets, &small);
    if (small.size == 0)
        return true;
    if (close_open(&small) == NULL)
        return error_no_memory(err);
    return find_differences(compared, sides, MASK_ROWS, small.data, ret_rows, err);
}

/* ---- the first time ---- */

/* A table without rows has no group. */
static uint64_t get_count(const PGresult *result) {
    return PQntuples(result) > 0 ? strtoull(PQgetvalue(result, 0, 1), NULL, 10) : 0;
}

static bool compare_whole(struct verify_table *compared, struct verify_sides *sides, bool *ret_equal,
                          struct error *err) {
    struct verify_answers answers AUTO(verify_answers_release) = {0};
    struct verify_differences differences AUTO(verify_differences_release) = {0};
    if (!verify_table_ask(compared, sides, MASK_WHOLE, NULL, &answers, err) ||
        !verify_differences_read(&differences, answers.source, answers.target, err))
        return false;
    compared->source_rows = get_count(answers.source);
    compared->target_rows = get_count(answers.target);
    *ret_equal = differences.count == 0;
    return true;
}

static bool count_narrowed(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    if (compared->expressions.count_narrowed == NULL)
        return true;
    if (!session_query(&sides->source, compared->expressions.count_narrowed, 0, NULL,
                       &(const struct result_shape){"the query for narrowed rows", 1, 1, 1, 0}, &result, err))
        return error_wrap(err, "comparing %s.%s", compared->table->schema, compared->table->name);
    compared->narrowed_rows = strtoull(PQgetvalue(result, 0, 0), NULL, 10);
    return true;
}

bool verify_table_compare(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    bool is_equal = false;
    assert(compared->result == VERIFY_UNDECIDED);
    if (!compare_whole(compared, sides, &is_equal, err) || !count_narrowed(compared, sides, err))
        return false;
    if (is_equal)
        return true;
    uint64_t rows =
        compared->source_rows > compared->target_rows ? compared->source_rows : compared->target_rows;
    compared->bucket_mask = choose_mask(rows);
    return narrow(compared, sides, NULL, &compared->buckets, &compared->rows, err);
}

/* ---- again ---- */

static bool sums_equal(const struct verify_sum *a, const struct verify_sum *b) {
    return a->count == b->count && a->hash == b->hash;
}

static void grow_streak(struct verify_difference *difference, const struct verify_difference *before) {
    if (before != NULL && sums_equal(&difference->source, &before->source) &&
        sums_equal(&difference->target, &before->target))
        difference->streak = before->streak + 1;
}

/* A row that was compared before and was equal then is settled, whatever changed it since. */
static void keep_rows(const struct verify_table *before, struct verify_differences *rows) {
    size_t kept = 0;
    for (size_t i = 0; i < rows->count; i++) {
        struct verify_difference row = rows->items[i];
        const struct verify_difference *same = verify_differences_find(&before->rows, row.key);
        bool was_in_bucket = verify_differences_find(&before->buckets, row.key & before->bucket_mask) != NULL;
        if (same == NULL && !was_in_bucket)
            continue;
        grow_streak(&row, same);
        rows->items[kept++] = row;
    }
    rows->count = kept;
}

static void keep_buckets(const struct verify_table *before, struct verify_differences *buckets) {
    for (size_t i = 0; i < buckets->count; i++)
        grow_streak(&buckets->items[i], verify_differences_find(&before->buckets, buckets->items[i].key));
}

static const char *write_open(const struct verify_table *compared, struct buffer *open) {
    for (size_t i = 0; i < compared->buckets.count; i++)
        append_open(open, compared->buckets.items[i].key);
    for (size_t i = 0; i < compared->rows.count; i++)
        append_open(open, compared->rows.items[i].key & compared->bucket_mask);
    return close_open(open);
}

bool verify_table_compare_again(struct verify_table *compared, struct verify_sides *sides,
                                struct error *err) {
    struct buffer open AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    struct verify_differences buckets AUTO(verify_differences_release) = {0};
    struct verify_differences rows AUTO(verify_differences_release) = {0};
    assert(!verify_table_is_settled(compared));
    if (write_open(compared, &open) == NULL)
        return error_no_memory(err);
    if (!narrow(compared, sides, open.data, &buckets, &rows, err))
        return false;
    keep_rows(compared, &rows);
    keep_buckets(compared, &buckets);
    struct verify_differences old_rows = compared->rows, old_buckets = compared->buckets;
    compared->rows = rows;
    compared->buckets = buckets;
    rows = old_rows;
    buckets = old_buckets;
    return true;
}

/* ---- some rows ---- */

/* Every bucket has at least one row that differs, so count_max buckets are enough. */
static const char *open_buckets(const struct verify_table *compared, size_t count_max,
                                unsigned int streak_min, struct buffer *open) {
    uint64_t rows = 0;
    size_t taken = 0;
    for (size_t i = 0; i < compared->buckets.count && taken < count_max && rows < LOOK_INTO_ROWS_MAX; i++) {
        const struct verify_difference *bucket = &compared->buckets.items[i];
        if (bucket->streak < streak_min)
            continue;
        append_open(open, bucket->key);
        rows += bucket->source.count + bucket->target.count;
        taken += is_one_sided(bucket) ? bucket->source.count + bucket->target.count : 1;
    }
    return close_open(open);
}

static bool verify_table_choose(const struct verify_differences *rows, size_t count_max,
                                unsigned int streak_min, struct verify_differences *picked,
                                struct error *err) {
    for (size_t i = 0; i < rows->count && picked->count < count_max; i++)
        if (rows->items[i].streak >= streak_min && !verify_differences_append(picked, &rows->items[i]))
            return error_no_memory(err);
    return true;
}

bool verify_table_pick(const struct verify_table *compared, struct verify_sides *sides, size_t count_max,
                       unsigned int streak_min, struct verify_differences *ret_picked, struct error *err) {
    struct buffer open AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    struct verify_differences found AUTO(verify_differences_release) = {0};
    if (!verify_table_choose(&compared->rows, count_max, streak_min, ret_picked, err))
        return false;
    if (ret_picked->count == count_max || compared->buckets.count == 0)
        return true;
    if (open_buckets(compared, count_max - ret_picked->count, streak_min, &open) == NULL)
        return error_no_memory(err);
    return find_differences(compared, sides, MASK_ROWS, open.data, &found, err) &&
           verify_table_choose(&found, count_max, 1, ret_picked, err);
}

void verify_table_release(struct verify_table *compared) {
    verify_differences_release(&compared->picked);
    verify_answers_release(&compared->picked_rows);
    verify_differences_release(&compared->rows);
    verify_differences_release(&compared->buckets);
}
