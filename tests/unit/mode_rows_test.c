/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_rows_test.c - random programs of changes, in spans: what a sink makes of the mode's rows is what a
 * naive model has, which takes one change after the other.
 */
#include "sinks/mapping/mode_rows.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

#include "tests/support/random.h"

enum { SEEDS = 5000, STEPS = 60, KEYS = 5, ROWS_MAX = 400, TEXTS = 100000 };

/* The source's columns, then those of the mode. */
enum { KEY, SMALL, LARGE, SOURCE_COLUMNS };

struct row {
    int key, small, large;
    bool is_there; /* not marked; a current version */
    char op;
    uint64_t lsn, index;
    bool has_unchanged; /* of an event: the large value was not sent */
};

struct rows {
    struct row items[ROWS_MAX];
    size_t count;
};

/* One program: the source, the model of what each mode keeps, and what a sink has got. */
struct program {
    struct random random;
    enum row_mode mode;
    struct row source[KEYS]; /* is_there */
    struct rows model;
    struct rows sink;
    struct mode_shape shape;
    struct mode_rows rows;
    struct arena arena; /* of the program */
    struct arena span;
    struct transaction *transaction;
    uint64_t index;
    struct change changes[STEPS];
    size_t count;
    struct error err;
};

/* ---- the relations ---- */

static struct column column_of(const char *name, bool is_key) {
    return (struct column){
        .name = {name, strlen(name)}, .type_oid = 25, .type_modifier = -1, .is_key = is_key};
}

static const struct column_rule *mode_rules(struct program *program, struct rule *rule) {
    *rule = (struct rule){.match = "s.t", .mode = program->mode};
    cr_assert(mode_shape_rule(rule, &program->arena, &program->err), "%s", program->err.text);
    return rule->columns;
}

static void make_shape(struct program *program) {
    struct rule *rule = arena_alloc_zero(&program->arena, sizeof *rule);
    const struct column_rule *rules = mode_rules(program, rule);
    const uint32_t count = SOURCE_COLUMNS + (uint32_t) rule->column_count;
    struct column *columns = arena_alloc_zero(&program->arena, count * sizeof *columns);
    struct mapped_column *mapped = arena_alloc_zero(&program->arena, count * sizeof *mapped);
    struct relation *source = arena_alloc_zero(&program->arena, sizeof *source);
    struct relation *keyed = arena_alloc_zero(&program->arena, sizeof *keyed);
    struct table_map *map = arena_alloc_zero(&program->arena, sizeof *map);
    columns[KEY] = column_of("id", true);
    columns[SMALL] = column_of("small", false);
    columns[LARGE] = column_of("large", false);
    for (uint32_t i = 0; i < count; i++) {
        mapped[i] = (struct mapped_column){.from = i < SOURCE_COLUMNS ? (int32_t) i : COLUMN_ADDED};
        if (i < SOURCE_COLUMNS)
            continue;
        mapped[i].rule = &rules[i - SOURCE_COLUMNS];
        columns[i] = column_of(mapped[i].rule->as, false);
    }
    *source = (struct relation){.oid = 1,
                                .identity = REPLICA_IDENTITY_DEFAULT,
                                .key_count = 1,
                                .column_count = SOURCE_COLUMNS,
                                .columns = columns};
    *keyed = *source;
    keyed->column_count = count;
    keyed->mapped_from = source;
    *map = (struct table_map){.rule = rule,
                              .source_name = "s.t",
                              .source_count = SOURCE_COLUMNS,
                              .column_count = count,
                              .columns = mapped};
    cr_assert(mode_shape_relation(map, keyed, source, &program->arena, &program->shape, &program->err), "%s",
              program->err.text);
}

/* ---- values ---- */

static struct value number_value(struct program *program, int number) {
    char text[16];
    const int size = snprintf(text, sizeof text, "%d", number);
    const char *data = arena_copy(&program->span, (struct slice){text, (size_t) size});
    return (struct value){.data = data, .size = (uint32_t) size, .kind = VALUE_TEXT};
}

static int number_of(const struct value *value) {
    return value->kind == VALUE_TEXT ? (int) strtol(value->data, NULL, 10) : 0;
}

static struct value *values_of(struct program *program, const struct row *row, bool is_key_only,
                               bool is_large_sent) {
    struct value *values =
        arena_alloc_zero(&program->span, program->shape.keyed->column_count * sizeof *values);
    for (uint32_t i = 0; i < program->shape.keyed->column_count; i++)
        values[i].kind = VALUE_NULL;
    values[KEY] = number_value(program, row->key);
    if (is_key_only)
        return values;
    values[SMALL] = number_value(program, row->small);
    values[LARGE] =
        is_large_sent ? number_value(program, row->large) : (struct value){.kind = VALUE_UNCHANGED};
    return values;
}

/* ---- the model ---- */

static struct row *model_add(struct rows *rows, const struct row *row) {
    cr_assert(rows->count < ROWS_MAX);
    rows->items[rows->count] = *row;
    return &rows->items[rows->count++];
}

static struct row *find_there(struct rows *rows, int key) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->items[i].is_there && rows->items[i].key == key)
            return &rows->items[i];
    return NULL;
}

static struct row *find_key(struct rows *rows, int key) {
    for (size_t i = 0; i < rows->count; i++)
        if (rows->items[i].key == key)
            return &rows->items[i];
    return NULL;
}

static struct row stamped(const struct program *program, struct row row, char op) {
    row.op = op;
    row.is_there = true;
    row.lsn = program->transaction->commit_lsn;
    row.index = program->index;
    return row;
}

static void model_end(struct program *program, int key) {
    struct row *row = find_there(&program->model, key);
    if (program->mode == ROWS_APPENDED) {
        const struct row event = stamped(program, (struct row){.key = key}, 'd');
        model_add(&program->model, &event);
        return;
    }
    cr_assert_not_null(row);
    row->is_there = false;
    if (program->mode == ROWS_SOFT_DELETE) {
        row->op = 'd';
        row->lsn = program->transaction->commit_lsn;
        row->index = program->index;
    }
}

/* old_key: of the row before; 0: there was none. */
static void model_put(struct program *program, const struct row *now, int old_key, bool is_large_sent) {
    struct row row = stamped(program, *now, old_key != 0 ? 'u' : 'c');
    if (old_key != 0 && (program->mode == ROWS_HISTORY || old_key != now->key))
        model_end(program, old_key);
    struct row *before = program->mode == ROWS_SOFT_DELETE ? find_key(&program->model, now->key) : NULL;
    if (program->mode == ROWS_APPENDED && !is_large_sent) {
        row.has_unchanged = true;
        row.large = 0;
    }
    if (before != NULL)
        *before = row;
    else
        model_add(&program->model, &row);
}

static void model_truncate(struct program *program) {
    if (program->mode == ROWS_APPENDED) {
        const struct row event = stamped(program, (struct row){.key = 0}, 't');
        model_add(&program->model, &event);
    }
    for (size_t i = 0; program->mode != ROWS_APPENDED && i < program->model.count; i++)
        program->model.items[i].is_there = false;
}

/* ---- the program ---- */

static struct change *begin_change(struct program *program, enum change_kind kind) {
    struct change *change = &program->changes[program->count++];
    *change = (struct change){.kind = kind,
                              .index = program->index,
                              .transaction = program->transaction,
                              .relation = program->shape.keyed};
    return change;
}

static void insert_row(struct program *program, int key) {
    struct row *row = &program->source[key - 1];
    *row = (struct row){.key = key,
                        .small = (int) random_below(&program->random, TEXTS) + 1,
                        .large = (int) random_below(&program->random, TEXTS) + 1,
                        .is_there = true};
    begin_change(program, CHANGE_INSERT)->new_values = values_of(program, row, false, true);
    model_put(program, row, 0, true);
}

static void delete_row(struct program *program, int key) {
    struct change *change = begin_change(program, CHANGE_DELETE);
    change->old_kind = OLD_KEY;
    change->old_values = values_of(program, &program->source[key - 1], true, false);
    program->source[key - 1].is_there = false;
    model_end(program, key);
}

static void update_row(struct program *program, int key) {
    struct row now = program->source[key - 1];
    const int other = (int) random_below(&program->random, KEYS) + 1;
    const bool is_large_sent = random_below(&program->random, 2) == 0;
    now.small = (int) random_below(&program->random, TEXTS) + 1;
    if (is_large_sent)
        now.large = (int) random_below(&program->random, TEXTS) + 1;
    const bool is_moved =
        other != key && !program->source[other - 1].is_there && random_below(&program->random, 2) == 0;
    if (is_moved)
        now.key = other;
    struct change *change = begin_change(program, CHANGE_UPDATE);
    if (is_moved) {
        change->old_kind = OLD_KEY;
        change->old_values = values_of(program, &program->source[key - 1], true, false);
    }
    change->new_values = values_of(program, &now, false, is_large_sent);
    program->source[key - 1].is_there = false;
    program->source[now.key - 1] = now;
    model_put(program, &now, key, is_large_sent);
}

static void truncate_rows(struct program *program) {
    struct change *change = begin_change(program, CHANGE_TRUNCATE);
    const struct relation **relations = arena_alloc(&program->span, sizeof *relations);
    relations[0] = program->shape.keyed;
    change->relations = relations;
    change->relation_count = 1;
    for (int i = 0; i < KEYS; i++)
        program->source[i].is_there = false;
    model_truncate(program);
}

static void step(struct program *program) {
    const int key = (int) random_below(&program->random, KEYS) + 1;
    if (random_below(&program->random, 5) == 0) {
        struct transaction *next = arena_alloc_zero(&program->arena, sizeof *next);
        next->commit_lsn = program->transaction->commit_lsn + 8;
        next->commit_time_us = (int64_t) next->commit_lsn * 1000000;
        program->transaction = next;
        program->index = 0;
    }
    if (random_below(&program->random, 40) == 0)
        truncate_rows(program);
    else if (!program->source[key - 1].is_there)
        insert_row(program, key);
    else if (random_below(&program->random, 3) == 0)
        delete_row(program, key);
    else
        update_row(program, key);
    program->index++;
}

/* ---- what a sink does: mode_rows.h ---- */

static const struct value *value_at(const struct program *program, const struct change *change,
                                    enum mode_column column) {
    return &change->new_values[program->shape.at[column]];
}

static struct row row_of(const struct program *program, const struct change *change) {
    struct row row = {.key = number_of(&change->new_values[KEY]),
                      .small = number_of(&change->new_values[SMALL]),
                      .large = number_of(&change->new_values[LARGE]),
                      .op = value_at(program, change, MODE_OP)->data[0],
                      .index = strtoull(value_at(program, change, MODE_INDEX)->data, NULL, 10),
                      .lsn = change->transaction->commit_lsn,
                      .is_there = true};
    if (program->mode == ROWS_SOFT_DELETE)
        row.is_there = value_at(program, change, MODE_DELETED)->data[0] == 'f';
    if (program->mode == ROWS_HISTORY)
        row.is_there = value_at(program, change, MODE_CURRENT)->data[0] == 't';
    if (program->mode == ROWS_APPENDED)
        row.has_unchanged = value_at(program, change, MODE_UNCHANGED)->kind == VALUE_TEXT;
    return row;
}

/* The row that has the values which were not sent; in a history it ends. */
static void fill(struct program *program, const struct change *change, struct row *row) {
    struct row *before = find_key(&program->sink, number_of(&change->old_values[KEY]));
    if (program->mode == ROWS_HISTORY)
        before = find_there(&program->sink, number_of(&change->old_values[KEY]));
    cr_assert_not_null(before, "nothing has the values that were not sent");
    row->large = before->large;
    if (program->mode == ROWS_HISTORY)
        before->is_there = false;
}

static void sink_insert(struct program *program, const struct change *change) {
    struct row row = row_of(program, change);
    struct row *before = program->mode == ROWS_SOFT_DELETE ? find_key(&program->sink, row.key) : NULL;
    if (change->is_partial)
        fill(program, change, &row);
    cr_assert(before == NULL || !before->is_there, "a row is there twice");
    cr_assert(program->mode != ROWS_HISTORY || !row.is_there || find_there(&program->sink, row.key) == NULL,
              "two versions are current");
    if (before != NULL)
        *before = row;
    else
        model_add(&program->sink, &row);
}

static void sink_update(struct program *program, const struct change *change) {
    const int key = number_of(&change->new_values[KEY]);
    struct row *row = find_there(&program->sink, key);
    cr_assert_not_null(row, "a row to be changed is not there");
    if (program->mode == ROWS_HISTORY) {
        cr_assert_eq(change->relation, program->shape.closes);
        row->is_there = false;
        return;
    }
    struct row now = row_of(program, change);
    if (change->new_values[SMALL].kind == VALUE_UNCHANGED)
        now.small = row->small;
    if (change->new_values[LARGE].kind == VALUE_UNCHANGED)
        now.large = row->large;
    *row = now;
}

static void sink_take(struct program *program, const struct change *change) {
    if (change->kind == CHANGE_INSERT)
        sink_insert(program, change);
    else if (change->kind == CHANGE_UPDATE)
        sink_update(program, change);
    else
        for (size_t i = 0; i < program->sink.count; i++)
            program->sink.items[i].is_there = false;
}

static void run_span(struct program *program) {
    const struct mode_shape *shapes[] = {&program->shape};
    cr_assert(
        mode_rows_begin(&program->rows, program->changes, program->count, &program->span, &program->err));
    for (size_t i = 0; i < program->count; i++)
        cr_assert(program->changes[i].kind == CHANGE_TRUNCATE
                      ? mode_rows_truncate(&program->rows, shapes, &program->changes[i], &program->err)
                      : mode_rows_add(&program->rows, &program->shape, &program->changes[i], &program->err),
                  "%s", program->err.text);
    mode_rows_flush(&program->rows);
    for (size_t i = 0; i < program->rows.count; i++)
        sink_take(program, &program->rows.changes[i]);
    program->count = 0;
    arena_reset(&program->span);
}

/* ---- the same ---- */

/* Events and versions by their place; of one index d comes before u. Rows of soft_delete by their key. */
static enum row_mode order_mode;

static int order_rows(const void *a, const void *b) {
    const struct row *one = a, *other = b;
    if (order_mode == ROWS_SOFT_DELETE)
        return one->key - other->key;
    if (one->lsn != other->lsn)
        return one->lsn < other->lsn ? -1 : 1;
    if (one->index != other->index)
        return one->index < other->index ? -1 : 1;
    return one->op - other->op;
}

static void assert_same(struct program *program, uint64_t seed) {
    cr_assert_eq(program->sink.count, program->model.count, "seed %llu: %zu rows, not %zu",
                 (unsigned long long) seed, program->sink.count, program->model.count);
    order_mode = program->mode;
    qsort(program->sink.items, program->sink.count, sizeof(struct row), order_rows);
    qsort(program->model.items, program->model.count, sizeof(struct row), order_rows);
    for (size_t i = 0; i < program->model.count; i++) {
        const struct row *found = &program->sink.items[i], *wanted = &program->model.items[i];
        cr_assert(found->key == wanted->key && found->small == wanted->small &&
                      found->large == wanted->large && found->op == wanted->op && found->lsn == wanted->lsn &&
                      found->index == wanted->index && found->is_there == wanted->is_there &&
                      found->has_unchanged == wanted->has_unchanged,
                  "seed %llu, row %zu: %c of key %d, not %c of %d", (unsigned long long) seed, i, found->op,
                  found->key, wanted->op, wanted->key);
    }
}

/* Current rows are the source's, also in the model. */
static void assert_current(struct program *program, uint64_t seed) {
    for (int key = 1; key <= KEYS && program->mode != ROWS_APPENDED; key++) {
        const struct row *row = find_there(&program->sink, key), *source = &program->source[key - 1];
        cr_assert_eq(row != NULL, source->is_there, "seed %llu", (unsigned long long) seed);
        cr_assert(row == NULL || (row->small == source->small && row->large == source->large), "seed %llu",
                  (unsigned long long) seed);
    }
}

static void run(enum row_mode mode, uint64_t seed) {
    static struct program program;
    program = (struct program){.mode = mode};
    program.random.state = seed;
    arena_init(&program.arena, 65536, (size_t) 1 << 28);
    arena_init(&program.span, 65536, (size_t) 1 << 28);
    program.transaction = arena_alloc_zero(&program.arena, sizeof *program.transaction);
    program.transaction->commit_lsn = 8;
    make_shape(&program);
    for (int i = 0; i < STEPS; i++) {
        step(&program);
        if (random_below(&program.random, 8) == 0)
            run_span(&program);
    }
    run_span(&program);
    assert_current(&program, seed);
    assert_same(&program, seed);
    mode_rows_release(&program.rows);
    arena_release(&program.arena);
    arena_release(&program.span);
}

Test(mode_rows, random_programs_of_append) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(ROWS_APPENDED, seed);
}

Test(mode_rows, random_programs_of_soft_delete) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(ROWS_SOFT_DELETE, seed);
}

Test(mode_rows, random_programs_of_history) {
    for (uint64_t seed = 1; seed <= SEEDS; seed++)
        run(ROWS_HISTORY, seed);
}
