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

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/pq/identifier.h"

enum {
    ROWS_PER_BUCKET = 256,
    BUCKETS_MAX = 1 << 17,       /* sums of one table in memory, twice */
    COLUMN_ROWS_MAX = 1000,      /* whose columns are compared one by one */
    LOOK_INTO_ROWS_MAX = 200000, /* rows of a table, on both sides together, whose sums are read one by one */
};

#define SQL_BYTES_MAX (16 << 20)
#define OPEN_BYTES_MAX (16 << 20)

#define MASK_WHOLE INT64_C(0)
#define MASK_ROWS INT64_C(-1)

/* ---- the table of the snapshots ---- */

/*
 * The rows of a view (c.relfilenode is 0) and of a table without a file are not asked about. The catalog is
 * read in the snapshot, the functions know the present.
 */
static const char IS_WHOLE[] =
    "with recursive tree as (select t.oid, t.relkind from pg_catalog.pg_class t join pg_catalog.pg_namespace "
    "n"
    " on n.oid = t.relnamespace where n.nspname = $1 and t.relname = $2"
    " union all select c.oid, c.relkind from tree join pg_catalog.pg_inherits i on i.inhparent = tree.oid"
    " and tree.relkind = 'p' join pg_catalog.pg_class c on c.oid = i.inhrelid)"
    " select count(*) > 0 and coalesce(bool_and(c.relfilenode = 0"
    " or pg_catalog.pg_relation_filenode(c.oid) is not distinct from c.relfilenode), false)"
    " and (bool_and(c.relkind not in ('p')) or count(*) = (select count(*) from"
    " pg_catalog.pg_partition_tree((select oid from tree limit 1)::regclass)))"
    " and bool_or(c.oid = pg_catalog.format('%I.%I', $1::text, $2::text)::pg_catalog.regclass)"
    " from tree join pg_catalog.pg_class c on c.oid = tree.oid";

static bool side_is_whole(struct session *session, const struct verify_expression *side,
                          const struct table *table, bool *ret_whole, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *result AUTO_PGRESULT = NULL;
    buffer_printf(&sql, "select from %s limit 0", side->from);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(session, sql.data, 0, NULL, &(const struct result_shape){"the lock", 0, 0, 0, 0},
                       &result, err))
        return false;
    PQclear(result);
    result = NULL;
    const char *const parameters[] = {table->schema, table->name};
    if (!session_query(session, IS_WHOLE, 2, parameters,
                       &(const struct result_shape){"the query for its file", 1, 1, 1, 1u}, &result, err))
        return false;
    *ret_whole = *ret_whole && PQgetvalue(result, 0, 0)[0] == 't';
    return true;
}

bool verify_table_hold(const struct verify_table *compared, struct verify_sides *sides, bool *ret_whole,
                       struct error *err) {
    *ret_whole = true;
    return side_is_whole(&sides->source, &compared->expressions.source, compared->table, ret_whole, err) &&
           side_is_whole(&sides->target, &compared->expressions.target, compared->table, ret_whole, err);
}

/* ---- questions ---- */

static void append_condition(struct buffer *sql, bool *has_condition) {
    buffer_append_text(sql, *has_condition ? " and (" : " where (");
    *has_condition = true;
}

static void append_comparison(struct buffer *sql, const struct chunk *range, const char *operator,
                              const char * bound) {
    identifier_append(sql, slice_of(range->column));
    buffer_append_text(sql, operator);
    literal_append(sql, slice_of(bound));
}

/* A target's column may have nulls, which belong to the first range. */
static void append_range(struct buffer *sql, const struct chunk *range, bool *has_condition) {
    if (range->low != NULL) {
        append_condition(sql, has_condition);
        append_comparison(sql, range, " >= ", range->low);
        buffer_append_text(sql, ")");
    }
    if (range->high != NULL) {
        append_condition(sql, has_condition);
        append_comparison(sql, range, " < ", range->high);
        if (range->low == NULL) {
            buffer_append_text(sql, " or ");
            identifier_append(sql, slice_of(range->column));
            buffer_append_text(sql, " is null");
        }
        buffer_append_text(sql, ")");
    }
}

/* The end of a line ends a comment. */
static void append_conditions(const struct verify_table *compared, bool has_condition, struct buffer *sql) {
    if (compared->ranges != NULL)
        append_range(sql, &compared->ranges[compared->range], &has_condition);
    if (compared->where_sql == NULL)
        return;
    append_condition(sql, &has_condition);
    buffer_append_text(sql, compared->where_sql);
    buffer_append_text(sql, "\n)");
}

void verify_table_append_from(const struct verify_table *compared, const struct verify_expression *side,
                              struct buffer *sql) {
    buffer_append_text(sql, side->from);
    append_conditions(compared, side->is_filtered, sql);
}

/* Sums are taken modulo the largest bigint, so that they fit in one. */
static void append_question(const struct verify_table *compared, struct buffer *sql,
                            const struct verify_expression *side, int64_t mask, int64_t open_mask) {
    buffer_printf(sql,
                  "select k & %lld, count(*), (sum(h) %% 9223372036854775807)::bigint"
                  " from (select %s as k, %s as h from ",
                  (long long) mask, mask == MASK_WHOLE ? "0::bigint" : side->key, side->row);
    verify_table_append_from(compared, side, sql);
    buffer_append_text(sql, ") rows");
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
    append_question(compared, &source_sql, &compared->expressions.source, mask, open_mask);
    append_question(compared, &target_sql, &compared->expressions.target, mask, open_mask);
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

static bool compare_whole(struct verify_table *compared, struct verify_sides *sides, uint64_t *ret_rows,
                          bool *ret_equal, struct error *err) {
    struct verify_answers answers AUTO(verify_answers_release) = {0};
    struct verify_differences differences AUTO(verify_differences_release) = {0};
    if (!verify_table_ask(compared, sides, MASK_WHOLE, NULL, &answers, err) ||
        !verify_differences_read(&differences, answers.source, answers.target, err))
        return false;
    const uint64_t source_rows = get_count(answers.source), target_rows = get_count(answers.target);
    compared->source_rows += source_rows;
    compared->target_rows += target_rows;
    *ret_rows = source_rows > target_rows ? source_rows : target_rows;
    *ret_equal = differences.count == 0;
    return true;
}

static bool count_narrowed(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    PGresult *result AUTO_PGRESULT = NULL;
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (compared->expressions.count_narrowed == NULL)
        return true;
    buffer_append_text(&sql, compared->expressions.count_narrowed);
    append_conditions(compared, compared->expressions.source.is_filtered, &sql);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!session_query(&sides->source, sql.data, 0, NULL,
                       &(const struct result_shape){"the query for narrowed rows", 1, 1, 1, 0}, &result, err))
        return error_wrap(err, "comparing %s.%s", compared->table->schema, compared->table->name);
    compared->narrowed_rows += strtoull(PQgetvalue(result, 0, 0), NULL, 10);
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

/* ---- columns ---- */

static bool append_found(const struct verify_table *compared, struct buffer *keys) {
    size_t count = 0;
    for (size_t i = 0; i < compared->rows.count && count < COLUMN_ROWS_MAX; i++) {
        const struct verify_difference *row = &compared->rows.items[i];
        if (row->source.count != 1 || row->target.count != 1)
            continue;
        append_open(keys, row->key);
        count++;
    }
    return count > 0;
}

static void append_columns(const struct verify_table *compared, const struct verify_expression *side,
                           struct buffer *sql) {
    buffer_printf(sql, "select * from (select %s as k, %s from ", side->key, side->columns);
    verify_table_append_from(compared, side, sql);
    buffer_append_text(sql, ") rows where k = any($1::bigint[]) order by k");
}

static bool cells_equal(const PGresult *source, const PGresult *target, int row, int column) {
    if (PQgetisnull(source, row, column) != PQgetisnull(target, row, column))
        return false;
    return strcmp(PQgetvalue(source, row, column), PQgetvalue(target, row, column)) == 0;
}

static void note_columns(struct verify_table *compared, const struct verify_answers *answers) {
    const int rows = PQntuples(answers->source);
    for (int row = 0; row < rows && row < PQntuples(answers->target); row++) {
        if (strcmp(PQgetvalue(answers->source, row, 0), PQgetvalue(answers->target, row, 0)) != 0)
            return; /* two keys have one hash */
        for (size_t i = 0; i < compared->expressions.column_count; i++)
            if (!cells_equal(answers->source, answers->target, row, (int) i + 1))
                compared->columns_are_known = compared->column_differs[i] = true;
    }
}

bool verify_table_find_columns(struct verify_table *compared, struct verify_sides *sides, struct error *err) {
    struct buffer keys AUTO(buffer_release) = {.bytes_max = OPEN_BYTES_MAX};
    struct buffer source_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer target_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct verify_answers answers AUTO(verify_answers_release) = {0};
    if (compared->column_differs == NULL || !append_found(compared, &keys))
        return true;
    append_columns(compared, &compared->expressions.source, &source_sql);
    append_columns(compared, &compared->expressions.target, &target_sql);
    if (close_open(&keys) == NULL || buffer_text(&source_sql) == NULL || buffer_text(&target_sql) == NULL)
        return error_no_memory(err);
    const struct verify_question question = {
        .source_sql = source_sql.data,
        .target_sql = target_sql.data,
        .parameter = keys.data,
        .shape = {"the query for columns that differ", 0, RESULT_ROWS_ANY,
                  (int) compared->expressions.column_count + 1, RESULT_NULL_ANYWHERE}};
    if (!verify_sides_ask(sides, &question, &answers, err))
        return error_wrap(err, "comparing %s.%s", compared->table->schema, compared->table->name);
    note_columns(compared, &answers);
    return true;
}

/* ---- the end of a range ---- */

void verify_table_settle(struct verify_table *compared) {
    for (size_t i = 0; i < compared->rows.count; i++)
        verify_counts_add(&compared->counts, &compared->rows.items[i]);
    for (size_t i = 0; i < compared->buckets.count; i++) {
        const struct verify_difference *bucket = &compared->buckets.items[i];
        verify_counts_add(&compared->counts, bucket);
        compared->is_inexact |= !is_one_sided(bucket);
    }
    verify_differences_release(&compared->rows);
    verify_differences_release(&compared->buckets);
}

void verify_table_release(struct verify_table *compared) {
    for (size_t i = 0; i < compared->key_set_count; i++) {
        verify_differences_release(&compared->key_sets[i].picked);
        verify_answers_release(&compared->key_sets[i].rows);
    }
    free(compared->key_sets);
    verify_differences_release(&compared->rows);
    verify_differences_release(&compared->buckets);
}
