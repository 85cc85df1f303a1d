/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_pass.c - both sides into stores, then part by part through the merge.
 */
#include "sinks/kafka/verify/row_pass.h"

#include <stdlib.h>

#include "sinks/kafka/verify/source_scan.h"
#include "sinks/kafka/verify/topic_scan.h"

struct row_passing {
    const struct row_pass *pass;
    struct row_store source;
    struct row_store records;
    struct row_merge merge;
    struct source_entry *row;    /* with room for the columns that are apart */
    struct record_entry *record; /* likewise */
};

static void row_passing_release(struct row_passing *passing) {
    row_store_release(&passing->source);
    row_store_release(&passing->records);
    row_merge_release(&passing->merge);
    free(passing->row);
    free(passing->record);
}

static bool row_passing_init(struct row_passing *passing, const struct row_pass *pass, struct error *err) {
    const size_t apart_bytes = pass->layout->apart_count * sizeof(uint64_t);
    passing->pass = pass;
    row_store_init(&passing->source, sizeof *passing->row + apart_bytes);
    row_store_init(&passing->records, sizeof *passing->record + apart_bytes);
    passing->row = calloc(1, sizeof *passing->row + apart_bytes);
    passing->record = calloc(1, sizeof *passing->record + apart_bytes);
    if (passing->row == NULL || passing->record == NULL)
        return error_no_memory(err);
    if (!row_merge_init(&passing->merge, pass->layout, err))
        return false;
    passing->merge.take = pass->take;
    passing->merge.context = pass->context;
    return true;
}

/* The row becomes a message, which is read back: so its key and its values are as those of the topic. */
static bool take_source_row(void *context, const struct value *values, struct error *err) {
    struct row_passing *passing = context;
    const struct row_pass *pass = passing->pass;
    struct format_reading reading;
    struct row_image image;
    if (!topic_table_read_row(pass->table, pass->sides->codec, values, &reading, err))
        return false;
    const struct image_row row = {.relation = reading.change.relation, .values = reading.change.new_values};
    row_image_make(pass->layout, &row, &image, passing->row->apart);
    passing->row->key = pass->table->has_key ? row_key_of(reading.key) : image.key;
    passing->row->hash = image.hash;
    return !record_key_is_among(pass->only, &passing->row->key) ||
           row_store_add(&passing->source, &passing->row->key, err);
}

static bool read_records(struct row_passing *passing, struct row_pass_faults *ret_faults, struct error *err) {
    const struct row_pass *pass = passing->pass;
    struct record_rows rows = {.table = pass->table,
                               .codec = pass->sides->codec,
                               .layout = pass->layout,
                               .only = pass->only,
                               .found = pass->found,
                               .store = &passing->records,
                               .entry = passing->record};
    if (!topic_scan(pass->sides->reader, pass->table, pass->sides->rate, record_rows_take, &rows, err))
        return false;
    passing->merge.truncated = rows.truncated;
    ret_faults->faults.foreign = rows.foreign;
    ret_faults->unusable = rows.unusable;
    return true;
}

bool row_pass_run(const struct row_pass *pass, struct row_pass_faults *ret_faults, struct error *err) {
    struct row_passing passing AUTO(row_passing_release) = {0};
    *ret_faults = (struct row_pass_faults){0};
    if (!row_passing_init(&passing, pass, err) ||
        !source_scan(pass->sides->source, pass->sides->evaluator, pass->table, pass->sides->rate,
                     take_source_row, &passing, err) ||
        !read_records(&passing, ret_faults, err))
        return false;
    for (int part = 0; part < ROW_STORE_PARTS; part++)
        if (!row_merge_part(&passing.merge, &passing.source, &passing.records, part, err))
            return false;
    ret_faults->faults.duplicate = passing.merge.duplicate;
    return true;
}
