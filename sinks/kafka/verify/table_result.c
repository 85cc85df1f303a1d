/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_result.c - one pass; and a second one if updates have left values unchanged.
 */
#include "sinks/kafka/verify/table_result.h"

#include <stdlib.h>
#include <string.h>

enum {
    DIFFERENCES_MAX = 1 << 20, /* one by one; the rest is only counted */
    APART_MAX = 32,            /* columns of large values, in a table of any size */
};

/* ---- one pass ---- */

struct finding {
    struct topic_table *table;
    bool is_cut;
    uint64_t unsettled;
};

static void add_sum(struct difference_sum *sum, const struct difference_sum *more) {
    sum->count += more->count;
    sum->hash = (int64_t) ((uint64_t) sum->hash + (uint64_t) more->hash);
}

static void add_difference(struct difference *to, const struct difference *more) {
    add_sum(&to->source, &more->source);
    add_sum(&to->target, &more->target);
}

static bool keep_difference(struct table_result *result, const struct row_pair *pair, struct error *err) {
    const struct difference difference = {
        .key = pair->key, .source = pair->source, .target = pair->target, .streak = 1};
    if (result->differences.count < DIFFERENCES_MAX)
        return differences_append(&result->differences, &difference) || error_no_memory(err);
    add_difference(&result->rest, &difference);
    result->rest.streak = 1;
    return true;
}

static bool take_pair(void *context, const struct row_pair *pair, struct error *err) {
    struct finding *finding = context;
    struct table_result *result = &finding->table->result;
    result->source_rows += pair->source.count;
    result->target_rows += pair->target.count;
    switch (pair->state) {
    case ROW_EQUAL:
        return true;
    case ROW_UNPROVEN:
        result->unproven++;
        return true;
    case ROW_UNSETTLED:
        finding->unsettled++;
        return true;
    case ROW_DIFFERS:
        break;
    }
    const bool may_be_cut = finding->is_cut && pair->source.count > pair->target.count &&
                            (!finding->table->has_key || !pair->has_records);
    if (may_be_cut) {
        result->cut += pair->source.count - pair->target.count;
        return true;
    }
    return keep_difference(result, pair, err);
}

static int compare_differences(const void *one, const void *other) {
    const struct difference *a = one, *b = other;
    return (a->key > b->key) - (a->key < b->key);
}

/* Sorts by key, and adds those up that have the same one. */
static void differences_merge(struct differences *differences) {
    size_t kept = 0;
    if (differences->count == 0)
        return;
    qsort(differences->items, differences->count, sizeof *differences->items, compare_differences);
    for (size_t i = 1; i < differences->count; i++) {
        if (differences->items[i].key == differences->items[kept].key)
            add_difference(&differences->items[kept], &differences->items[i]);
        else
            differences->items[++kept] = differences->items[i];
    }
    differences->count = kept + 1;
}

static bool has_lost_records(const struct topic_table *table) {
    for (size_t i = 0; i < table->part_count; i++)
        if (table->parts[i].begin > 0)
            return true;
    return false;
}

/* ---- the account ---- */

/* The same number of other records is at least one record. */
static uint64_t count_uncounted(const struct partition_account *counted,
                                const struct partition_account *found) {
    if (counted->count == found->count)
        return counted->places != found->places;
    return counted->count > found->count ? counted->count - found->count : found->count - counted->count;
}

/* Not when the first records that were counted are deleted. */
static bool proves(const struct topic_table *table, int32_t partition,
                   const struct partition_account *counted) {
    return (size_t) partition >= table->part_count || table->parts[partition].begin <= counted->from;
}

static void compare_account(struct topic_table *table, const struct table_account *account,
                            const struct partition_account *found) {
    static const struct partition_account NOTHING = {0};
    struct comparison_faults *faults = &table->result.faults;
    for (int32_t i = 0; i < account->count; i++) {
        const struct partition_tally *tally = &account->tallies[i];
        if (!tally->is_known || !proves(table, i, &tally->account))
            continue;
        faults->counted += tally->account.count;
        faults->uncounted +=
            count_uncounted(&tally->account, (size_t) i < table->part_count ? &found[i] : &NOTHING);
    }
}

/* A partition without an account begins where it ends. The caller frees it. */
static bool begin_found(const struct topic_table *table, const struct table_account *account,
                        struct partition_account **ret_found, struct error *err) {
    *ret_found = NULL;
    if (account == NULL)
        return true;
    *ret_found = calloc(table->part_count + 1, sizeof **ret_found);
    for (size_t i = 0; *ret_found != NULL && i < table->part_count; i++)
        (*ret_found)[i].from = (int32_t) i < account->count ? account->tallies[i].account.from : INT64_MAX;
    return *ret_found != NULL || error_no_memory(err);
}

static void free_found(struct partition_account **found) {
    free(*found);
}

static bool find_once(struct topic_table *table, const struct row_sides *sides,
                      const struct image_layout *layout, const struct table_account *account,
                      uint64_t *ret_unsettled, struct error *err) {
    struct finding finding = {.table = table, .is_cut = has_lost_records(table)};
    struct partition_account *found AUTO(free_found) = NULL;
    struct row_pass_faults faults;
    if (!begin_found(table, account, &found, err))
        return false;
    const struct row_pass pass = {.sides = sides,
                                  .table = table,
                                  .layout = layout,
                                  .found = found,
                                  .take = take_pair,
                                  .context = &finding};
    differences_release(&table->result.differences);
    table->result = (struct table_result){0};
    if (!row_pass_run(&pass, &faults, err))
        return false;
    table->result.faults = faults.faults;
    table->result.unusable = faults.unusable;
    if (account != NULL)
        compare_account(table, account, found);
    *ret_unsettled = finding.unsettled;
    return true;
}

/* ---- the table ---- */

bool table_result_find(struct topic_table *table, const struct row_sides *sides,
                       const struct table_account *account, struct error *err) {
    struct image_layout layout AUTO(image_layout_release) = {0};
    uint64_t unsettled = 0;
    if (table->is_compared)
        return true;
    if (!image_layout_init(&layout, table, err) ||
        !find_once(table, sides, &layout, account, &unsettled, err))
        return false;
    if (unsettled > 0) {
        image_layout_part(&layout, APART_MAX, false);
        if (!find_once(table, sides, &layout, account, &unsettled, err))
            return false;
    }
    table->result.unproven += unsettled;
    differences_merge(&table->result.differences);
    table->is_compared = true;
    return topic_table_conclude(table, err);
}

/* ---- questions ---- */

static int compare_numbers(const void *one, const void *other) {
    const int64_t a = *(const int64_t *) one, b = *(const int64_t *) other;
    return (a > b) - (a < b);
}

/* A sorted copy, which the caller frees. */
static bool sort_keys(const struct comparison_keys *keys, int64_t **ret_items, struct error *err) {
    *ret_items = malloc((keys->count + 1) * sizeof **ret_items);
    if (*ret_items == NULL)
        return error_no_memory(err);
    if (keys->count > 0) {
        memcpy(*ret_items, keys->items, keys->count * sizeof **ret_items);
        qsort(*ret_items, keys->count, sizeof **ret_items, compare_numbers);
    }
    return true;
}

static void free_keys(int64_t **items) {
    free(*items);
}

static bool fold_one(const struct comparison_question *question, const struct comparison_keys *open,
                     const struct difference *difference, struct differences *folded, struct error *err) {
    const int64_t open_key = difference->key & question->open_mask;
    if (question->open_mask != 0 &&
        bsearch(&open_key, open->items, open->count, sizeof *open->items, compare_numbers) == NULL)
        return true;
    struct difference masked = *difference;
    masked.key &= question->mask;
    return differences_append(folded, &masked) || error_no_memory(err);
}

bool table_result_fold(const struct topic_table *table, const struct comparison_question *question,
                       struct differences *ret_differences, struct error *err) {
    const struct table_result *result = &table->result;
    int64_t *items AUTO(free_keys) = NULL;
    if (!sort_keys(&question->open_keys, &items, err))
        return false;
    const struct comparison_keys open = {.items = items, .count = question->open_keys.count};
    for (size_t i = 0; i < result->differences.count; i++)
        if (!fold_one(question, &open, &result->differences.items[i], ret_differences, err))
            return false;
    if (result->rest.source.count + result->rest.target.count > 0 &&
        !fold_one(question, &open, &result->rest, ret_differences, err))
        return false;
    differences_merge(ret_differences);
    return true;
}

/* ---- columns ---- */

struct column_finding {
    const struct image_layout *layout;
    bool *differs;
};

static bool note_columns(void *context, const struct row_pair *pair, struct error *err) {
    const struct column_finding *finding = context;
    (void) err;
    for (size_t i = 0; pair->differs != NULL && i < finding->layout->table->column_count; i++)
        finding->differs[i] |= pair->differs[finding->layout->slots[i]];
    return true;
}

bool table_result_find_columns(const struct topic_table *table, const struct row_sides *sides,
                               const struct comparison_keys *keys, bool *differs, struct error *err) {
    struct image_layout layout AUTO(image_layout_release) = {0};
    int64_t *items AUTO(free_keys) = NULL;
    struct row_pass_faults faults;
    if (!table->has_key)
        return true;
    if (!image_layout_init(&layout, table, err) || !sort_keys(keys, &items, err))
        return false;
    image_layout_part(&layout, UINT32_MAX, true);
    const struct comparison_keys only = {.items = items, .count = keys->count};
    struct column_finding finding = {.layout = &layout, .differs = differs};
    const struct row_pass pass = {.sides = sides,
                                  .table = table,
                                  .layout = &layout,
                                  .only = &only,
                                  .take = note_columns,
                                  .context = &finding};
    return row_pass_run(&pass, &faults, err);
}
