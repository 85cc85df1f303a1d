/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_image.c - finds the compared columns in a row by their names, and hashes their values.
 */
#include "sinks/kafka/verify/row_image.h"

#include <stdlib.h>

#include "cdc/base/hash.h"

#define OTHER_SEED UINT64_C(0xa4093822299f31d0)

bool image_layout_init(struct image_layout *layout, const struct topic_table *table, struct error *err) {
    *layout = (struct image_layout){.table = table};
    layout->slots = calloc(table->column_count + 1, sizeof *layout->slots);
    layout->lacks = calloc(table->column_count + 1, sizeof *layout->lacks);
    if (layout->slots == NULL || layout->lacks == NULL)
        return error_no_memory(err);
    image_layout_part(layout, 0, false);
    return true;
}

void image_layout_release(struct image_layout *layout) {
    free(layout->slots);
    free(layout->lacks);
    *layout = (struct image_layout){0};
}

void image_layout_part(struct image_layout *layout, uint32_t count_max, bool all) {
    layout->apart_count = 0;
    for (size_t i = 0; i < layout->table->column_count; i++) {
        const bool is_apart = (all || layout->lacks[i]) && layout->apart_count < count_max;
        layout->slots[i] = is_apart ? (int32_t) layout->apart_count++ : -1;
    }
}

/* A table's columns keep their order, so the place is usually known. NULL: the row has no such column. */
static const struct value *find_value(const struct image_row *row, const struct column *column,
                                      uint32_t guess) {
    const struct relation *relation = row->relation;
    if (guess < relation->column_count && slice_equal(relation->columns[guess].name, column->name))
        return &row->values[guess];
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (slice_equal(relation->columns[i].name, column->name))
            return &row->values[i];
    return NULL;
}

static bool is_unchanged(const struct image_row *row, const struct compared_column *column,
                         const struct value *value) {
    return value->kind == VALUE_UNCHANGED ||
           (row->may_lack && value->kind == VALUE_TEXT && column->placeholder.data != NULL &&
            slice_equal(value_slice(value), column->placeholder));
}

/* The old row has the same columns. */
static const struct value *look_back(const struct image_row *row, const struct compared_column *column,
                                     const struct value *value) {
    if (value == NULL || row->old_values == NULL || !is_unchanged(row, column, value))
        return value;
    return &row->old_values[value - row->values];
}

static uint64_t hash_value(uint64_t seed, const struct value *value) {
    const uint64_t hash = hash_bytes(seed, value->data, value->size);
    return hash < IMAGE_HASH_MIN ? hash + IMAGE_HASH_MIN : hash;
}

static uint64_t image_value(const struct image_row *row, const struct compared_column *column,
                            const struct value *value) {
    if (value == NULL)
        return IMAGE_NULL;
    if (value->kind == VALUE_NULL)
        return row->may_lack && column->is_null_unchanged ? IMAGE_PERHAPS : IMAGE_NULL;
    return is_unchanged(row, column, value) ? IMAGE_UNCHANGED : hash_value(column->seed, value);
}

static void add_key(struct row_key *key, const struct compared_column *column, uint64_t hash,
                    const struct value *value) {
    key->words[0] += hash;
    key->words[1] += hash_value(column->seed ^ OTHER_SEED, value);
}

void row_image_make(const struct image_layout *layout, const struct image_row *row,
                    struct row_image *ret_image, uint64_t *apart) {
    const struct topic_table *table = layout->table;
    struct row_image image = {0};
    for (size_t i = 0; i < table->column_count; i++) {
        const struct compared_column *column = &table->columns[i];
        const struct value *value =
            look_back(row, column, find_value(row, &table->relation.columns[column->index], column->index));
        const uint64_t hash = image_value(row, column, value);
        const int32_t slot = layout->slots[i];
        layout->lacks[i] |= hash == IMAGE_UNCHANGED || hash == IMAGE_PERHAPS;
        if (slot >= 0)
            apart[slot] = hash;
        else if (hash == IMAGE_UNCHANGED)
            image.is_partial = true;
        else if (hash == IMAGE_PERHAPS)
            image.is_doubtful = true;
        else if (hash >= IMAGE_HASH_MIN)
            image.hash += hash;
        if (!table->has_key && hash >= IMAGE_HASH_MIN)
            add_key(&image.key, column, hash, value);
    }
    *ret_image = image;
}
