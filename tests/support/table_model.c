/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_model.c - see table_model.h.
 *
 * Keys and unique numbers come from small ranges, so that one transaction inserts, deletes and inserts a key
 * again, hands unique values over and swaps them.
 */
#include "tests/support/table_model.h"

#include <stdlib.h>
#include <string.h>

#define KEYS 40u    /* how many different numbers a key column takes */
#define UNIQUES 60u /* the same for unique columns */

static const char *const TEXTS[] = {
    "",       "a",         "NULL",      "null",        "\\N",
    "\\",     "\"",        "'",         "{",           "}",
    ",",      "a,b",       "tab\there", "line\nbreak", "\r",
    "\\.",    "ünïcode ☃", "$1",        "%s",          " lead",
    "trail ", "a\"b\\c",   "{\"x\":1}", "()",          "quite a bit longer than the others",
};

static const char *const ARRAYS[] = {"{}",           "{a}", "{a,b}", "{NULL,\"NULL\"}", "{\"a\\\"b\",\"{\"}",
                                     "{{a,b},{c,d}}"};
static const char *const DOCUMENTS[] = {"{}", "{\"b\":1,  \"a\":[1,2]}", "null", "\"x\"", "[1.0, 1.00]"};

/* Equal and not the same, or the other way round. */
static const char *const FLOATS[] = {"0", "-0", "NaN", "1.5", "Infinity"};
static const char *const NUMERICS[] = {"1", "1.0", "1.00", "NaN", "0.00"};
static const char *const POINTS[] = {"(0,0)", "(-0,0)", "(1,1.0000001)", "(1,1)"};

#define COUNT(list) ((uint32_t) (sizeof(list) / sizeof *(list)))

static const char *number(struct table_model *model, uint32_t limit) {
    char text[16];
    snprintf(text, sizeof text, "%u", random_below(model->random, limit));
    char *copy = arena_copy(&model->builder->arena, slice_of(text));
    if (copy == NULL)
        abort();
    return copy;
}

static const char *random_value(struct table_model *model, char kind, bool is_key) {
    if (!is_key && random_below(model->random, 8) == 0)
        return NULL;
    switch (kind) {
    case 'i':
        return number(model, is_key ? KEYS : 1000000);
    case 'u':
        return number(model, UNIQUES);
    case 'a':
        return ARRAYS[random_below(model->random, COUNT(ARRAYS))];
    case 'k':
        return number(model, 2);
    case 't':
        return TEXTS[random_below(model->random, 3)];
    case 'f':
        return FLOATS[random_below(model->random, COUNT(FLOATS))];
    case 'n':
        return NUMERICS[random_below(model->random, COUNT(NUMERICS))];
    case 'p':
        return POINTS[random_below(model->random, COUNT(POINTS))];
    case 'j':
        return DOCUMENTS[random_below(model->random, COUNT(DOCUMENTS))];
    default:
        return TEXTS[random_below(model->random, is_key ? 6 : COUNT(TEXTS))];
    }
}

static bool is_equal(const char *a, const char *b) {
    return a == NULL || b == NULL ? a == b : strcmp(a, b) == 0;
}

static bool has_same_key(const struct model_table *table, const struct model_row *a,
                         const struct model_row *b) {
    for (uint32_t i = 0; i < table->shape->key_count; i++)
        if (!is_equal(a->values[i], b->values[i]))
            return false;
    return table->shape->key_count > 0;
}

/* Could the source have this row besides all its others but the one at except? */
static bool is_allowed(const struct model_table *table, const struct model_row *row, uint32_t except) {
    for (uint32_t r = 0; r < table->count; r++) {
        if (r == except)
            continue;
        if (has_same_key(table, &table->rows[r], row))
            return false;
        for (uint32_t i = 0; i < table->shape->column_count; i++)
            if (table->shape->column[i].kind == 'u' && row->values[i] != NULL &&
                is_equal(table->rows[r].values[i], row->values[i]))
                return false;
    }
    return true;
}

static void insert(struct table_model *model, struct model_table *table) {
    struct model_row row = {0};
    if (table->count == MODEL_ROWS_MAX)
        return;
    for (uint32_t i = 0; i < table->shape->column_count; i++)
        row.values[i] = random_value(model, table->shape->column[i].kind, i < table->shape->key_count);
    if (table->shape->key_count == 0 && table->count > 0 && random_below(model->random, 2) == 0)
        row = table->rows[random_below(model->random, table->count)];
    if (!is_allowed(table, &row, UINT32_MAX))
        return;
    table->rows[table->count++] = row;
    change_builder_insert(model->builder, table->relation, row.values);
}

/* A value that stays may be left out, as one out of line is. */
static void leave_out(struct table_model *model, const struct model_shape *shape, const struct model_row *old,
                      const struct model_row *new, struct model_row *sent) {
    for (uint32_t i = shape->key_count; i < shape->column_count; i++)
        if (strchr("stajn", shape->column[i].kind) != NULL && old->values[i] != NULL &&
            is_equal(old->values[i], new->values[i]) && random_below(model->random, 2) == 0)
            sent->values[i] = UNCHANGED_TEXT;
}

/*
 * Only a full identity sends all old values; without the key's change the others send none, or the key alone.
 */
static void emit_update(struct table_model *model, struct model_table *table, const struct model_row *old,
                        const struct model_row *new) {
    const struct model_shape *shape = table->shape;
    struct model_row sent = *new;
    struct model_row key = {0};
    leave_out(model, shape, old, new, &sent);
    if (shape->identity == REPLICA_IDENTITY_FULL) {
        change_builder_update(model->builder, table->relation, old->values, sent.values);
        return;
    }
    for (uint32_t i = 0; i < shape->key_count; i++)
        key.values[i] = old->values[i];
    bool tell_key = !has_same_key(table, old, new) || random_below(model->random, 8) == 0;
    change_builder_update(model->builder, table->relation, tell_key ? key.values : NULL, sent.values);
}

static void replace(struct table_model *model, struct model_table *table, uint32_t at,
                    const struct model_row *new) {
    struct model_row old = table->rows[at];
    table->rows[at] = *new;
    emit_update(model, table, &old, new);
}

static void update(struct table_model *model, struct model_table *table) {
    if (table->count == 0)
        return;
    uint32_t at = random_below(model->random, table->count);
    struct model_row new = table->rows[at];
    bool move_key = random_below(model->random, 40) == 0;
    for (uint32_t i = move_key ? 0 : table->shape->key_count; i < table->shape->column_count; i++)
        if (random_below(model->random, 2) == 0)
            new.values[i] = random_value(model, table->shape->column[i].kind, i < table->shape->key_count);
    if (is_allowed(table, &new, at))
        replace(model, table, at, &new);
}

static void delete (struct table_model *model, struct model_table *table) {
    if (table->count == 0)
        return;
    uint32_t at = random_below(model->random, table->count);
    struct model_row old = table->rows[at];
    struct model_row sent = old;
    for (uint32_t i = table->shape->key_count; i < table->shape->column_count; i++)
        if (table->shape->identity != REPLICA_IDENTITY_FULL)
            sent.values[i] = NULL;
    table->rows[at] = table->rows[--table->count];
    change_builder_delete(model->builder, table->relation, sent.values);
}

static void truncate(struct table_model *model, struct model_table *table) {
    struct model_table *other = &model->tables[random_below(model->random, model->table_count)];
    const struct relation *relations[] = {table->relation, other->relation};
    table->count = other->count = 0;
    change_builder_truncate(model->builder, TRUNCATE_RESTART_IDENTITY, other == table ? 1 : 2, relations);
}

/* Two rows change places in a unique column, through NULL: legal in this order only. */
static void swap(struct table_model *model, struct model_table *table) {
    uint32_t column = 0;
    while (column < table->shape->column_count && table->shape->column[column].kind != 'u')
        column++;
    if (column == table->shape->column_count || table->count < 2)
        return;
    uint32_t a = random_below(model->random, table->count);
    uint32_t b = (a + 1) % table->count;
    const char *of_a = table->rows[a].values[column];
    const char *of_b = table->rows[b].values[column];
    struct model_row row = table->rows[a];
    row.values[column] = NULL;
    replace(model, table, a, &row);
    row = table->rows[b];
    row.values[column] = of_a;
    replace(model, table, b, &row);
    row = table->rows[a];
    row.values[column] = of_b;
    replace(model, table, a, &row);
}

static bool takes_updates(const struct model_table *table) {
    return table->shape->key_count > 0 || table->shape->identity == REPLICA_IDENTITY_FULL;
}

static void change(struct table_model *model, struct model_table *table) {
    uint32_t dice = random_below(model->random, 1000);
    if (dice < 4)
        truncate(model, table);
    else if (dice < 20)
        swap(model, table);
    else if (dice < 500 || !takes_updates(table))
        insert(model, table);
    else if (dice < 800)
        update(model, table);
    else
        delete (model, table);
}

void table_model_transaction(struct table_model *model, uint32_t most) {
    uint32_t count = 1 + random_below(model->random, most);
    change_builder_begin(model->builder);
    for (uint32_t i = 0; i < count; i++)
        change(model, &model->tables[random_below(model->random, model->table_count)]);
    change_builder_commit(model->builder);
}

void model_rows_sql(const struct model_shape *shape, char *sql, size_t size) {
    size_t length = (size_t) snprintf(sql, size,
                                      "select coalesce(string_agg(r, E'\\n' order by r collate \"C\"), '')"
                                      " from (select ");
    for (uint32_t i = 0; i < shape->column_count; i++)
        length += (size_t) snprintf(sql + length, size - length,
                                    "%scoalesce(octet_length(%s::text) || ':' || %s::text, '~')",
                                    i > 0 ? " || ',' || " : "", shape->column[i].name, shape->column[i].name);
    snprintf(sql + length, size - length, " || case when %s then '' else ' BROKEN' end as r from %s) t",
             shape->also != NULL ? shape->also : "true", shape->table);
}

static int compare_lines(const void *a, const void *b) {
    return strcmp(*(char *const *) a, *(char *const *) b);
}

static char *row_line(const struct model_table *table, const struct model_row *row) {
    char *line = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&line, &size);
    for (uint32_t i = 0; i < table->shape->column_count; i++) {
        const char *value = row->values[i];
        fputs(i > 0 ? "," : "", stream);
        if (value == NULL)
            fputs("~", stream);
        else
            fprintf(stream, "%zu:%s", strlen(value), value);
    }
    fclose(stream);
    return line;
}

char *model_rows(const struct model_table *table) {
    char *lines[MODEL_ROWS_MAX];
    char *text = NULL;
    size_t size = 0;
    for (uint32_t r = 0; r < table->count; r++)
        lines[r] = row_line(table, &table->rows[r]);
    qsort(lines, table->count, sizeof *lines, compare_lines);
    FILE *stream = open_memstream(&text, &size);
    for (uint32_t r = 0; r < table->count; r++) {
        fprintf(stream, "%s%s", r > 0 ? "\n" : "", lines[r]);
        free(lines[r]);
    }
    fclose(stream);
    return text;
}
