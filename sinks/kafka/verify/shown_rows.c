/* SPDX-License-Identifier: Apache-2.0 */
/*
 * shown_rows.c - looks at the source first; only rows that it has not are looked for in the topic.
 */
#include "sinks/kafka/verify/shown_rows.h"

#include <stdlib.h>
#include <string.h>

#include "sinks/kafka/verify/source_scan.h"
#include "sinks/kafka/verify/topic_scan.h"

enum { CHARACTERS_MAX = 1000 };

struct shown_place {
    int64_t key;
    size_t row;
};

struct showing {
    const struct shown_rows *rows;
    struct shown_place *places; /* sorted by key */
    struct image_layout layout;
    size_t left;
};

static void showing_release(struct showing *showing) {
    free(showing->places);
    image_layout_release(&showing->layout);
}

static int compare_places(const void *one, const void *other) {
    const struct shown_place *a = one, *b = other;
    return (a->key > b->key) - (a->key < b->key);
}

static bool showing_init(struct showing *showing, const struct shown_rows *rows, struct error *err) {
    showing->rows = rows;
    showing->left = rows->keys->count;
    showing->places = calloc(rows->keys->count + 1, sizeof *showing->places);
    if (showing->places == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < rows->keys->count; i++)
        showing->places[i] = (struct shown_place){.key = rows->keys->items[i], .row = i};
    qsort(showing->places, rows->keys->count, sizeof *showing->places, compare_places);
    return image_layout_init(&showing->layout, rows->table, err);
}

/* ---- values ---- */

/* A string of JSON without its quotes, unless it has escapes. */
static struct slice plain_text(const struct showing *showing, struct slice text) {
    const bool is_string = text.size >= 2 && text.data[0] == '"' && text.data[text.size - 1] == '"';
    if (showing->rows->sides->codec->ops->reads_text || !is_string ||
        memchr(text.data, '\\', text.size) != NULL)
        return text;
    return (struct slice){.data = text.data + 1, .size = text.size - 2};
}

static struct slice cut_text(struct slice text) {
    size_t characters = 0, size = 0;
    for (; size < text.size; size++) {
        characters += ((unsigned char) text.data[size] & 0xc0) != 0x80;
        if (characters > CHARACTERS_MAX)
            break;
    }
    return (struct slice){.data = text.data, .size = size};
}

static bool copy_value(const struct showing *showing, const struct value *value, struct slice *ret_text,
                       struct error *err) {
    *ret_text = (struct slice){0};
    if (value == NULL || value->kind != VALUE_TEXT)
        return true;
    const struct slice text = cut_text(plain_text(showing, value_slice(value)));
    const char *copy = arena_copy(showing->rows->arena, text);
    *ret_text = (struct slice){.data = copy, .size = text.size};
    return copy != NULL || error_no_memory(err);
}

static const struct value *find_shown(const struct relation *relation, const struct value *values,
                                      const char *name) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (slice_equal(relation->columns[i].name, slice_of(name)))
            return &values[i];
    return NULL;
}

static bool show_row(struct showing *showing, const struct row_key *key, const struct relation *relation,
                     const struct value *values, struct error *err) {
    const struct comparison_table *table = &showing->rows->table->table;
    const struct shown_place wanted = {.key = (int64_t) key->words[0]};
    const struct shown_place *place =
        bsearch(&wanted, showing->places, showing->rows->keys->count, sizeof wanted, compare_places);
    if (place == NULL || showing->rows->rows[place->row].values != NULL)
        return true;
    struct slice *texts = arena_alloc_zero(showing->rows->arena, (table->shown_count + 1) * sizeof *texts);
    if (texts == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < table->shown_count; i++)
        if (!copy_value(showing, find_shown(relation, values, table->shown_names[i]), &texts[i], err))
            return false;
    showing->rows->rows[place->row].values = texts;
    showing->left--;
    return true;
}

/* ---- both sides ---- */

static struct row_key key_of_row(const struct showing *showing, const struct format_reading *reading) {
    struct row_image image;
    const struct image_row row = {.relation = reading->change.relation, .values = reading->change.new_values};
    if (showing->rows->table->has_key)
        return row_key_of(reading->key);
    row_image_make(&showing->layout, &row, &image, NULL);
    return image.key;
}

/* The source's own texts are shown, whatever the format makes of them. */
static bool show_source_row(void *context, const struct value *values, struct error *err) {
    struct showing *showing = context;
    const struct topic_table *table = showing->rows->table;
    struct format_reading reading;
    if (!topic_table_read_row(table, showing->rows->sides->codec, values, &reading, err))
        return false;
    const struct row_key key = key_of_row(showing, &reading);
    return show_row(showing, &key, &table->relation, values, err);
}

static bool show_record(void *context, const rd_kafka_message_t *message, struct error *err) {
    struct showing *showing = context;
    struct format_reading reading;
    enum record_kind kind;
    if (!record_read_message(showing->rows->table, showing->rows->sides->codec, message, &reading, &kind,
                             err))
        return false;
    if (kind != RECORD_OF_ROW || reading.change.kind == CHANGE_DELETE || showing->left == 0 ||
        (showing->rows->table->has_key && reading.key.data == NULL))
        return true;
    const struct row_key key = key_of_row(showing, &reading);
    return show_row(showing, &key, reading.change.relation, reading.change.new_values, err);
}

bool shown_rows_read(const struct shown_rows *rows, struct error *err) {
    struct showing showing AUTO(showing_release) = {0};
    const struct row_sides *sides = rows->sides;
    if (!showing_init(&showing, rows, err) || !source_scan(sides->source, sides->evaluator, rows->table,
                                                           sides->rate, show_source_row, &showing, err))
        return false;
    return showing.left == 0 ||
           topic_scan(sides->reader, rows->table, sides->rate, show_record, &showing, err);
}
