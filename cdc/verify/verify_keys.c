/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_keys.c - the rows that belong to the hashes.
 */
#include "cdc/verify/verify_keys.h"

#include <stdlib.h>

#include "cdc/base/utf8.h"
#include "cdc/base/visible.h"

#define ROWS_BLOCK_BYTES 65536
#define ROWS_BYTES_MAX ((size_t) 2 << 30)

enum { VISIBLE_BYTES_MAX = 32 * 1024 }; /* of one value: 1000 characters, each at most 4 bytes as \xNN */

/* ---- reading ---- */

static struct verify_key_set *add_set(struct verify_table *compared) {
    struct verify_key_set *sets =
        reallocarray(compared->key_sets, compared->key_set_count + 1, sizeof *compared->key_sets);
    if (sets == NULL)
        return NULL;
    compared->key_sets = sets;
    sets[compared->key_set_count] = (struct verify_key_set){0};
    arena_init(&sets[compared->key_set_count].arena, ROWS_BLOCK_BYTES, ROWS_BYTES_MAX);
    return &sets[compared->key_set_count++];
}

bool verify_keys_read(struct verify_table *compared, struct verify_sides *sides, size_t count_max,
                      unsigned int streak_min, struct error *err) {
    compared->keys_are_read = count_max > 0;
    if (compared->comparison->shown_count == 0 || count_max <= compared->key_count)
        return true;
    struct verify_key_set *set = add_set(compared);
    if (set == NULL)
        return error_no_memory(err);
    if (!verify_table_pick(compared, sides, count_max - compared->key_count, streak_min, &set->picked, err))
        return false;
    if (set->picked.count == 0)
        return true;
    compared->key_count += set->picked.count;
    return verify_table_read_rows(compared, sides, set, err);
}

/* ---- what was read ---- */

static const char *kind_of(const struct difference *difference) {
    struct difference_counts counts = {0};
    difference_counts_add(&counts, difference);
    return counts.missing > 0 ? "missing" : counts.extra > 0 ? "extra" : "different";
}

/* ---- for people ---- */

static void print_key(const struct verify_table *compared, const struct slice *values, FILE *out) {
    const struct comparison_table *table = compared->comparison;
    for (size_t i = 0; i < table->shown_count; i++) {
        fputs(i == 0 ? "(" : ", ", out);
        visible_print(out, slice_of(table->shown_names[i]));
    }
    fputs(")=(", out);
    for (size_t i = 0; i < table->shown_count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        visible_print(out, values[i].data == NULL ? slice_of("null") : values[i]);
    }
    fputs(")\n", out);
}

static void print_set(const struct verify_table *compared, const struct verify_key_set *set, FILE *out) {
    for (size_t i = 0; i < set->picked.count; i++) {
        const struct difference *difference = &set->picked.items[i];
        if (set->rows == NULL || set->rows[i].values == NULL)
            continue;
        fprintf(out, "    %-9s  ", kind_of(difference));
        print_key(compared, set->rows[i].values, out);
    }
}

void verify_keys_print(const struct verify_table *compared, FILE *out) {
    for (size_t i = 0; i < compared->key_set_count; i++)
        print_set(compared, &compared->key_sets[i], out);
}

/* ---- for programs ---- */

/* Text that is not UTF-8 comes from a database of encoding SQL_ASCII; JSON cannot contain it unchanged. */
static void put_value(struct json_writer *json, struct slice value) {
    char visible[VISIBLE_BYTES_MAX];
    if (!utf8_is_valid(value))
        value = (struct slice){.data = visible, .size = visible_write(visible, sizeof visible, value)};
    json_put_text(json, value);
}

static void put_key(const struct verify_table *compared, const struct slice *values,
                    struct json_writer *json) {
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < compared->comparison->shown_count; i++) {
        json_put_key(json, compared->comparison->shown_names[i]);
        if (values[i].data == NULL)
            yajl_gen_null(json->generator);
        else
            put_value(json, values[i]);
    }
    yajl_gen_map_close(json->generator);
}

static void put_set(const struct verify_table *compared, const struct verify_key_set *set,
                    struct json_writer *json) {
    for (size_t i = 0; i < set->picked.count; i++) {
        const struct difference *difference = &set->picked.items[i];
        if (set->rows == NULL || set->rows[i].values == NULL)
            continue;
        yajl_gen_map_open(json->generator);
        json_put_field(json, "row", kind_of(difference));
        json_put_key(json, "key");
        put_key(compared, set->rows[i].values, json);
        yajl_gen_map_close(json->generator);
    }
}

void verify_keys_put(const struct verify_table *compared, struct json_writer *json) {
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < compared->key_set_count; i++)
        put_set(compared, &compared->key_sets[i], json);
    yajl_gen_array_close(json->generator);
}
