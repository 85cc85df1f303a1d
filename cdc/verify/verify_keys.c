/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_keys.c - finds the rows that belong to the hashes.
 *
 *     select distinct on (k) * from (select hash(key) as k, left(key's column, 1000) ... from table) rows
 *      where k = any($1) order by k
 */
#include "cdc/verify/verify_keys.h"

#include <stdlib.h>

#include "cdc/base/buffer.h"
#include "cdc/base/utf8.h"
#include "cdc/base/visible.h"

#define SQL_BYTES_MAX (16 << 20)

enum { VISIBLE_BYTES_MAX = 32 * 1024 }; /* of one value: 1000 characters, each at most 4 bytes as \xNN */

/* ---- reading ---- */

static bool append_question(const struct verify_table *compared, struct buffer *sql,
                            const struct verify_expression *side) {
    buffer_printf(sql, "select distinct on (k) * from (select %s as k, %s from ", side->key, side->shown);
    verify_table_append_from(compared, side, sql);
    buffer_append_text(sql, ") rows where k = any($1::bigint[]) order by k");
    return buffer_text(sql) != NULL;
}

static bool append_picked(struct buffer *keys, const struct verify_differences *picked) {
    for (size_t i = 0; i < picked->count; i++)
        buffer_printf(keys, "%s%lld", i == 0 ? "{" : ",", (long long) picked->items[i].key);
    buffer_append_text(keys, "}");
    return buffer_text(keys) != NULL;
}

static struct verify_key_set *add_set(struct verify_table *compared) {
    struct verify_key_set *sets =
        reallocarray(compared->key_sets, compared->key_set_count + 1, sizeof *compared->key_sets);
    if (sets == NULL)
        return NULL;
    compared->key_sets = sets;
    sets[compared->key_set_count] = (struct verify_key_set){0};
    return &sets[compared->key_set_count++];
}

bool verify_keys_read(struct verify_table *compared, struct verify_sides *sides, size_t count_max,
                      unsigned int streak_min, struct error *err) {
    struct buffer source_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer target_sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    struct buffer keys AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    compared->keys_are_read = count_max > 0;
    if (compared->expressions.shown_count == 0 || count_max <= compared->key_count)
        return true;
    struct verify_key_set *set = add_set(compared);
    if (set == NULL)
        return error_no_memory(err);
    if (!verify_table_pick(compared, sides, count_max - compared->key_count, streak_min, &set->picked, err))
        return false;
    if (set->picked.count == 0)
        return true;
    compared->key_count += set->picked.count;
    if (!append_question(compared, &source_sql, &compared->expressions.source) ||
        !append_question(compared, &target_sql, &compared->expressions.target) ||
        !append_picked(&keys, &set->picked))
        return error_no_memory(err);
    const struct verify_question question = {.source_sql = source_sql.data,
                                             .target_sql = target_sql.data,
                                             .parameter = keys.data,
                                             .shape = {"the query for keys", 0, RESULT_ROWS_ANY,
                                                       (int) compared->expressions.shown_count + 1,
                                                       RESULT_NULL_ANYWHERE}};
    if (!verify_sides_ask(sides, &question, &set->rows, err))
        return error_wrap(err, "comparing %s.%s", compared->table->schema, compared->table->name);
    return true;
}

/* ---- what was read ---- */

/* The side that has the row; NULL: neither, which cannot happen within a snapshot. */
struct place {
    const PGresult *rows;
    int row;
};

static int find_row(const PGresult *rows, int64_t key) {
    int low = 0, high = PQntuples(rows);
    while (low < high) {
        int middle = low + (high - low) / 2;
        if (strtoll(PQgetvalue(rows, middle, 0), NULL, 10) < key)
            low = middle + 1;
        else
            high = middle;
    }
    return low < PQntuples(rows) && strtoll(PQgetvalue(rows, low, 0), NULL, 10) == key ? low : -1;
}

static struct place place_of(const struct verify_key_set *set, int64_t key) {
    const PGresult *const sides[] = {set->rows.source, set->rows.target};
    for (size_t i = 0; i < 2; i++) {
        int row = sides[i] != NULL ? find_row(sides[i], key) : -1;
        if (row >= 0)
            return (struct place){.rows = sides[i], .row = row};
    }
    return (struct place){0};
}

static const char *kind_of(const struct verify_difference *difference) {
    struct verify_counts counts = {0};
    verify_counts_add(&counts, difference);
    return counts.missing > 0 ? "missing" : counts.extra > 0 ? "extra" : "different";
}

static struct slice value_of(const struct place *place, size_t column) {
    return (struct slice){.data = PQgetvalue(place->rows, place->row, (int) column + 1),
                          .size = (size_t) PQgetlength(place->rows, place->row, (int) column + 1)};
}

static bool is_null(const struct place *place, size_t column) {
    return PQgetisnull(place->rows, place->row, (int) column + 1) == 1;
}

/* ---- for people ---- */

static void print_key(const struct verify_table *compared, const struct place *place, FILE *out) {
    const struct verify_expressions *expressions = &compared->expressions;
    for (size_t i = 0; i < expressions->shown_count; i++) {
        fputs(i == 0 ? "(" : ", ", out);
        visible_print(out, slice_of(expressions->shown_names[i]));
    }
    fputs(")=(", out);
    for (size_t i = 0; i < expressions->shown_count; i++) {
        fputs(i == 0 ? "" : ", ", out);
        visible_print(out, is_null(place, i) ? slice_of("null") : value_of(place, i));
    }
    fputs(")\n", out);
}

static void print_set(const struct verify_table *compared, const struct verify_key_set *set, FILE *out) {
    for (size_t i = 0; i < set->picked.count; i++) {
        const struct verify_difference *difference = &set->picked.items[i];
        const struct place place = place_of(set, difference->key);
        if (place.rows == NULL)
            continue;
        fprintf(out, "    %-9s  ", kind_of(difference));
        print_key(compared, &place, out);
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

static void put_key(const struct verify_table *compared, const struct place *place,
                    struct json_writer *json) {
    yajl_gen_map_open(json->generator);
    for (size_t i = 0; i < compared->expressions.shown_count; i++) {
        json_put_key(json, compared->expressions.shown_names[i]);
        if (is_null(place, i))
            yajl_gen_null(json->generator);
        else
            put_value(json, value_of(place, i));
    }
    yajl_gen_map_close(json->generator);
}

static void put_set(const struct verify_table *compared, const struct verify_key_set *set,
                    struct json_writer *json) {
    for (size_t i = 0; i < set->picked.count; i++) {
        const struct verify_difference *difference = &set->picked.items[i];
        const struct place place = place_of(set, difference->key);
        if (place.rows == NULL)
            continue;
        yajl_gen_map_open(json->generator);
        json_put_field(json, "row", kind_of(difference));
        json_put_key(json, "key");
        put_key(compared, &place, json);
        yajl_gen_map_close(json->generator);
    }
}

void verify_keys_put(const struct verify_table *compared, struct json_writer *json) {
    yajl_gen_array_open(json->generator);
    for (size_t i = 0; i < compared->key_set_count; i++)
        put_set(compared, &compared->key_sets[i], json);
    yajl_gen_array_close(json->generator);
}
