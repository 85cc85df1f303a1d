/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_merge_test.c - random records of a few keys, against a consumer that keeps rows column by column.
 */
#include "sinks/kafka/verify/row_merge.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

enum { ROUNDS = 3000, KEYS = 6, COLUMNS = 3, RECORDS_MAX = 40, DOUBTFUL = 2 /* a column */ };

/* What a consumer has of a row. */
struct model_row {
    bool is_alive;
    bool is_truncated; /* then an insert comes first */
    bool is_known[COLUMNS];
    bool is_doubtful[COLUMNS]; /* null, or still what it was */
    uint64_t values[COLUMNS];
};

struct model {
    struct random *random;
    struct model_row rows[KEYS];
    struct row_store source, records;
    struct row_merge merge;
    struct record_place place;
    int32_t partition; /* grows once, when a partition is added */
    uint64_t duplicates;
    bool has_source[KEYS];
    uint64_t sources[KEYS][COLUMNS];
    bool was_given[KEYS];
    struct error err;
};

static struct compared_column columns[COLUMNS];
static struct topic_table table = {.has_key = true, .columns = columns, .column_count = COLUMNS};

/* Keys are in several parts, and two have the same first hash. */
static struct row_key key_at(int key) {
    return (struct row_key){{(uint64_t) (key / 2) << 60, (uint64_t) key}};
}

static uint64_t random_value(struct model *model) {
    return random_below(model->random, 4) == 0 ? IMAGE_NULL : IMAGE_HASH_MIN + random_below(model->random, 3);
}

static void add_record(struct model *model, int key, uint32_t flags, const uint64_t *values) {
    struct record_entry *entry = calloc(1, sizeof *entry + COLUMNS * sizeof(uint64_t));
    entry->key = key_at(key);
    entry->commit_lsn = model->place.commit_lsn;
    entry->index = model->place.index;
    entry->offset = (int64_t) (model->place.commit_lsn * 1000 + model->place.index);
    entry->flags = flags;
    entry->partition = model->partition + (model->partition > 0 ? 0 : key % 2);
    if (values != NULL)
        memcpy(entry->apart, values, COLUMNS * sizeof *values);
    cr_assert(row_store_add(&model->records, &entry->key, &model->err));
    if ((flags & RECORD_IDENTIFIED) != 0 && random_below(model->random, 20) == 0) {
        cr_assert(row_store_add(&model->records, &entry->key, &model->err));
        model->duplicates++;
    }
    free(entry);
}

static void insert(struct model *model, int key) {
    struct model_row *row = &model->rows[key];
    *row = (struct model_row){.is_alive = true};
    for (int i = 0; i < COLUMNS; i++) {
        row->is_known[i] = true;
        row->values[i] = random_value(model);
    }
    add_record(model, key, RECORD_ALIVE | RECORD_IDENTIFIED | RECORD_PLACED, row->values);
}

/* Also of a row that no record has, as after a change of its key. */
static void update(struct model *model, int key) {
    struct model_row *row = &model->rows[key];
    uint64_t values[COLUMNS];
    if (row->is_truncated) {
        insert(model, key);
        return;
    }
    if (!row->is_alive)
        *row = (struct model_row){.is_alive = true};
    for (int i = 0; i < COLUMNS; i++) {
        const uint64_t chance = random_below(model->random, 3);
        values[i] = chance > 0 ? random_value(model) : i == DOUBTFUL ? IMAGE_PERHAPS : IMAGE_UNCHANGED;
        if (values[i] == IMAGE_PERHAPS)
            row->is_doubtful[i] = true;
        if (chance == 0)
            continue;
        row->is_known[i] = true;
        row->is_doubtful[i] = false;
        row->values[i] = values[i];
    }
    add_record(model, key, RECORD_ALIVE | RECORD_IDENTIFIED | RECORD_PLACED, values);
}

static void end(struct model *model, int key, uint32_t flags) {
    model->rows[key] = (struct model_row){0};
    add_record(model, key, flags, NULL);
}

static void truncate_all(struct model *model) {
    for (int key = 0; key < KEYS; key++)
        model->rows[key] = (struct model_row){.is_truncated = true};
    model->merge.truncated = model->place;
}

static void change(struct model *model) {
    const int key = (int) random_below(model->random, KEYS);
    if (random_below(model->random, 3) == 0)
        model->place = (struct record_place){model->place.commit_lsn + 1, 0};
    else
        model->place.index++;
    if (random_below(model->random, 40) == 0)
        model->partition = 1 + (int32_t) random_below(model->random, 3);
    switch (random_below(model->random, 12)) {
    case 0:
        end(model, key, RECORD_IDENTIFIED | RECORD_PLACED);
        break;
    case 1:
        if (model->partition > 0) /* the engine's follow a delete; in one partition any is in its order */
            end(model, key, RECORD_IDENTIFIED | RECORD_PLACED);
        end(model, key, 0);
        break;
    case 2:
        truncate_all(model);
        break;
    case 3:
    case 4:
    case 5:
        insert(model, key);
        break;
    default:
        update(model, key);
    }
}

/* Mostly what the consumer has. */
static void make_source(struct model *model) {
    for (int key = 0; key < KEYS; key++) {
        const struct model_row *row = &model->rows[key];
        const bool is_odd = random_below(model->random, 4) == 0;
        model->has_source[key] = is_odd ? random_below(model->random, 2) == 0 : row->is_alive;
        struct source_entry *entry = calloc(1, sizeof *entry + COLUMNS * sizeof(uint64_t));
        entry->key = key_at(key);
        for (int i = 0; i < COLUMNS; i++)
            entry->apart[i] = model->sources[key][i] =
                is_odd && random_below(model->random, 2) == 0 ? random_value(model) : row->values[i];
        if (model->has_source[key])
            cr_assert(row_store_add(&model->source, &entry->key, &model->err));
        free(entry);
    }
}

static enum row_state expect(const struct model *model, int key, bool *ret_differs) {
    const struct model_row *row = &model->rows[key];
    enum row_state state = ROW_EQUAL;
    for (int i = 0; i < COLUMNS; i++) {
        const uint64_t source = model->sources[key][i];
        const bool is_equal =
            (row->is_known[i] && row->values[i] == source) || (row->is_doubtful[i] && source == IMAGE_NULL);
        ret_differs[i] = !is_equal && row->is_known[i] && !row->is_doubtful[i];
        if (ret_differs[i])
            state = ROW_DIFFERS;
        else if (!is_equal && state == ROW_EQUAL)
            state = ROW_UNPROVEN;
    }
    return state;
}

static bool take(void *context, const struct row_pair *pair, struct error *err) {
    struct model *model = context;
    bool differs[COLUMNS] = {0};
    int key = 0;
    (void) err;
    while (model->was_given[key] || (int64_t) key_at(key).words[0] != pair->key ||
           (!model->has_source[key] && !model->rows[key].is_alive))
        cr_assert_lt(++key, KEYS, "a row that neither side has");
    model->was_given[key] = true;
    cr_expect_eq(pair->source.count, model->has_source[key]);
    cr_expect_eq(pair->target.count, model->rows[key].is_alive);
    const bool is_both = pair->source.count > 0 && pair->target.count > 0;
    cr_expect_eq(pair->state, is_both ? expect(model, key, differs) : ROW_DIFFERS);
    if (is_both)
        cr_expect_arr_eq(pair->differs, differs, sizeof differs);
    return true;
}

static void play(struct random *random) {
    struct image_layout layout = {0};
    struct model *model = calloc(1, sizeof *model);
    const size_t apart_bytes = COLUMNS * sizeof(uint64_t);
    model->random = random;
    model->place = (struct record_place){1, 0};
    row_store_init(&model->source, sizeof(struct source_entry) + apart_bytes);
    row_store_init(&model->records, sizeof(struct record_entry) + apart_bytes);
    cr_assert(image_layout_init(&layout, &table, &model->err));
    image_layout_part(&layout, UINT32_MAX, true);
    cr_assert(row_merge_init(&model->merge, &layout, &model->err));
    model->merge.take = take;
    model->merge.context = model;
    for (uint64_t count = random_below(model->random, RECORDS_MAX); count > 0; count--)
        change(model);
    make_source(model);
    for (int part = 0; part < ROW_STORE_PARTS; part++)
        cr_assert(row_merge_part(&model->merge, &model->source, &model->records, part, &model->err));
    for (int key = 0; key < KEYS; key++)
        cr_expect_eq(model->was_given[key], model->has_source[key] || model->rows[key].is_alive);
    cr_expect_eq(model->merge.duplicate, model->duplicates);
    row_merge_release(&model->merge);
    row_store_release(&model->source);
    row_store_release(&model->records);
    image_layout_release(&layout);
    free(model);
}

Test(row_merge, records_are_carried_out_as_a_consumer_does) {
    struct random random = random_start("row_merge");
    for (int round = 0; round < ROUNDS; round++)
        play(&random);
}
