/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_effect_test.c - what remains of several changes of one row, and what is left to be done row by row.
 */
#include <criterion/criterion.h>
#include <stdlib.h>

#include "sinks/postgres/apply/net_effect.h"
#include "tests/support/plain_table.h"

struct bench {
    struct change_builder builder;
    const struct relation *relation;
    struct target_table *table;
    struct net_effect net;
    struct target_table **tables; /* of each change */
};

static void bench_init(struct bench *bench, enum replica_identity identity, const char *columns) {
    change_builder_init(&bench->builder);
    bench->relation = change_builder_relation(&bench->builder, "t", identity, columns);
    bench->table = plain_table(&bench->builder, bench->relation);
    net_effect_init(&bench->net);
    bench->tables = NULL;
    change_builder_begin(&bench->builder);
}

static struct bench start(void) {
    struct bench bench;
    bench_init(&bench, REPLICA_IDENTITY_DEFAULT, "id int8 key, a text, b text");
    return bench;
}

static void bench_release(struct bench *bench) {
    net_effect_release(&bench->net);
    change_builder_release(&bench->builder);
    free(bench->tables);
}

static void insert(struct bench *bench, const char *id, const char *a, const char *b) {
    change_builder_insert(&bench->builder, bench->relation, ROW(id, a, b));
}

static void update(struct bench *bench, const char *id, const char *a, const char *b) {
    change_builder_update(&bench->builder, bench->relation, NULL, ROW(id, a, b));
}

static void delete_row(struct bench *bench, const char *id) {
    change_builder_delete(&bench->builder, bench->relation, ROW(id, NULL, NULL));
}

/* Builds the net effect; the part of the one table. */
static const struct table_effect *reduce(struct bench *bench) {
    struct error err = {0};
    bench->tables = calloc(bench->builder.count, sizeof(*bench->tables));
    cr_assert_not_null(bench->tables);
    for (size_t i = 0; i < bench->builder.count; i++)
        bench->tables[i] = change_is_row(&bench->builder.changes[i]) ? bench->table : NULL;
    const struct span span = {
        .changes = bench->builder.changes, .tables = bench->tables, .count = bench->builder.count};
    cr_assert(net_effect_build(&bench->net, &span, &err), "%s", err.text);
    return bench->table->effect;
}

static bool value_is(const struct value *value, const char *text) {
    return value->kind == VALUE_TEXT && slice_equal(value_slice(value), slice_of(text));
}

/* The net effect is on one row, of this kind, with these values of a and b. */
static void expect_one(struct bench *bench, enum effect_kind kind, const char *a, const char *b) {
    const struct table_effect *effect = reduce(bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(bench->net.effect_count, 1);
    const struct effect *row = &bench->net.effects[0];
    cr_assert_eq(effect_kind_of(row), kind, "kind %d", effect_kind_of(row));
    cr_assert_eq(effect->delete_count, kind == EFFECT_DELETE || kind == EFFECT_REPLACE);
    cr_assert_eq(effect->insert_count, kind == EFFECT_INSERT || kind == EFFECT_REPLACE);
    cr_assert_eq(effect->group_count, kind == EFFECT_UPDATE);
    if (a != NULL)
        cr_assert(value_is(&row->values[1], a));
    if (b != NULL)
        cr_assert(value_is(&row->values[2], b));
    bench_release(bench);
}

Test(net_effect, insert_and_update_are_an_insert_of_the_newer_values) {
    struct bench bench = start();
    insert(&bench, "1", "a", "b");
    update(&bench, "1", "A", UNCHANGED_TEXT);
    expect_one(&bench, EFFECT_INSERT, "A", "b");
}

Test(net_effect, insert_and_delete_are_nothing) {
    struct bench bench = start();
    insert(&bench, "1", "a", "b");
    delete_row(&bench, "1");
    expect_one(&bench, EFFECT_NOTHING, NULL, NULL);
}

Test(net_effect, an_update_keeps_what_the_later_one_left_unchanged) {
    struct bench bench = start();
    update(&bench, "1", "a", "b");
    update(&bench, "1", "A", UNCHANGED_TEXT);
    expect_one(&bench, EFFECT_UPDATE, "A", "b");
}

Test(net_effect, update_and_delete_are_a_delete) {
    struct bench bench = start();
    update(&bench, "1", "a", "b");
    delete_row(&bench, "1");
    expect_one(&bench, EFFECT_DELETE, NULL, NULL);
}

Test(net_effect, delete_and_insert_replace_the_row) {
    struct bench bench = start();
    delete_row(&bench, "1");
    insert(&bench, "1", "a", "b");
    update(&bench, "1", UNCHANGED_TEXT, "B");
    expect_one(&bench, EFFECT_REPLACE, "a", "B");
}

Test(net_effect, delete_insert_delete_is_a_delete) {
    struct bench bench = start();
    delete_row(&bench, "1");
    insert(&bench, "1", "a", "b");
    delete_row(&bench, "1");
    expect_one(&bench, EFFECT_DELETE, NULL, NULL);
}

Test(net_effect, insert_delete_insert_is_an_insert) {
    struct bench bench = start();
    insert(&bench, "1", "a", "b");
    delete_row(&bench, "1");
    insert(&bench, "1", "A", "B");
    expect_one(&bench, EFFECT_INSERT, "A", "B");
}

Test(net_effect, updates_that_write_different_columns_are_apart) {
    struct bench bench = start();
    update(&bench, "1", "a", UNCHANGED_TEXT);
    update(&bench, "2", UNCHANGED_TEXT, "b");
    update(&bench, "3", "a", UNCHANGED_TEXT);
    const struct table_effect *effect = reduce(&bench);
    cr_assert_eq(effect->group_count, 2);
    cr_assert_eq(effect->groups->count + effect->groups->next->count, 3);
    bench_release(&bench);
}

/* Keys that would be one when they were put one behind the other. */
Test(net_effect, keys_of_two_columns_are_two_values) {
    struct bench bench;
    bench_init(&bench, REPLICA_IDENTITY_DEFAULT, "id text key, a text key, b text");
    insert(&bench, "ab", "c", "1");
    insert(&bench, "a", "bc", "2");
    change_builder_delete(&bench.builder, bench.relation, ROW("a", "bc", NULL));
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(effect->insert_count, 1);
    bench_release(&bench);
}

static void expect_by_rows(struct bench *bench) {
    cr_assert(reduce(bench)->by_rows);
    bench_release(bench);
}

Test(net_effect, a_key_that_moves_is_left_to_the_rows) {
    struct bench bench = start();
    change_builder_update(&bench.builder, bench.relation, ROW("1", NULL, NULL), ROW("2", "a", "b"));
    expect_by_rows(&bench);
}

/* The server also sends the old key when it is stored out of line. */
Test(net_effect, an_old_key_that_is_the_new_one_does_not_move) {
    struct bench bench = start();
    change_builder_update(&bench.builder, bench.relation, ROW("1", NULL, NULL),
                          ROW(UNCHANGED_TEXT, "a", "b"));
    expect_one(&bench, EFFECT_UPDATE, "a", "b");
}

Test(net_effect, what_contradicts_itself_is_left_to_the_rows) {
    struct bench bench = start();
    delete_row(&bench, "1");
    update(&bench, "1", "a", "b");
    expect_by_rows(&bench);
    bench = start();
    update(&bench, "1", "a", "b");
    insert(&bench, "1", "a", "b");
    expect_by_rows(&bench);
    bench = start();
    delete_row(&bench, "1");
    delete_row(&bench, "1");
    expect_by_rows(&bench);
}

Test(net_effect, without_a_key_only_inserts_are_a_set) {
    struct bench bench;
    bench_init(&bench, REPLICA_IDENTITY_NOTHING, "id int8, a text, b text");
    insert(&bench, "1", "a", "b");
    insert(&bench, "1", "a", "b");
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(effect->insert_count, 2);
    bench_release(&bench);
}

Test(net_effect, an_update_of_an_array_is_left_to_the_rows) {
    struct bench bench;
    bench_init(&bench, REPLICA_IDENTITY_DEFAULT, "id int8 key, a text[], b text");
    update(&bench, "1", "{a}", "b");
    expect_by_rows(&bench);
    bench_init(&bench, REPLICA_IDENTITY_DEFAULT, "id int8 key, a text[], b text");
    update(&bench, "1", UNCHANGED_TEXT, "b");
    expect_one(&bench, EFFECT_UPDATE, NULL, "b");
}

Test(net_effect, a_column_in_two_formats_is_left_to_the_rows) {
    struct bench bench = start();
    insert(&bench, "1", "a", "b");
    bench.builder.binary = true;
    insert(&bench, "2", "a", "b");
    expect_by_rows(&bench);
}

/* text[] comes as text where the rest is binary. */
Test(net_effect, new_rows_of_two_formats_are_left_to_the_rows) {
    struct bench bench;
    bench_init(&bench, REPLICA_IDENTITY_DEFAULT, "id int8 key, a text[], b text");
    bench.builder.binary = true;
    insert(&bench, "1", "{}", "b");
    expect_by_rows(&bench);
}

Test(net_effect, a_table_where_sets_failed_rests) {
    struct bench bench = start();
    bench.table->set_pause = 1;
    insert(&bench, "1", "a", "b");
    cr_assert(reduce(&bench)->by_rows);
    free(bench.tables);
    cr_assert_not(reduce(&bench)->by_rows, "one span was enough");
    bench_release(&bench);
}

Test(net_effect, a_second_span_remembers_nothing_of_the_first) {
    struct bench bench = start();
    insert(&bench, "1", "a", "b");
    reduce(&bench);
    free(bench.tables);
    change_builder_clear(&bench.builder);
    update(&bench, "1", "A", "B");
    expect_one(&bench, EFFECT_UPDATE, "A", "B");
}

static struct bench start_without_key(void) {
    struct bench bench;
    bench_init(&bench, REPLICA_IDENTITY_FULL, "id int8, a text, b text");
    for (uint32_t i = 0; i < bench.table->column_count; i++)
        bench.table->columns[i].is_key = false;
    bench.table->key_count = 0;
    bench.table->has_key = false;
    bench.table->takes_images = true;
    return bench;
}

static void update_image(struct bench *bench, const char *const *old, const char *const *new) {
    change_builder_update(&bench->builder, bench->relation, old, new);
}

/* Changes of rows that are of no matter, so that there are enough for a set. */
static void fill_up(struct bench *bench) {
    for (int i = 0; i < 12; i++)
        update_image(bench, ROW("9", "fill", "up"), ROW("9", "fill", "again"));
}

Test(net_effect, without_a_key_a_change_goes_on_where_the_row_is_now) {
    struct bench bench = start_without_key();
    update_image(&bench, ROW("1", "a", "b"), ROW("1", "A", UNCHANGED_TEXT));
    update_image(&bench, ROW("1", "A", "b"), ROW("1", UNCHANGED_TEXT, "B"));
    insert(&bench, "2", "c", "d");
    update_image(&bench, ROW("2", "c", "d"), ROW("3", "c", "d"));
    change_builder_delete(&bench.builder, bench.relation, ROW("3", "c", "d"));
    fill_up(&bench);
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(bench.net.effect_count, 14);
    const struct effect *row = &bench.net.effects[0];
    cr_assert_eq(effect_kind_of(row), EFFECT_UPDATE);
    cr_assert(value_is(&row->key[1], "a"));
    cr_assert(value_is(&row->values[1], "A"));
    cr_assert(value_is(&row->values[2], "B"));
    cr_assert_eq(effect_kind_of(&bench.net.effects[1]), EFFECT_NOTHING);
    bench_release(&bench);
}

/* Two rows were alike and a third became so: each change of such a row is one row's. */
Test(net_effect, without_a_key_rows_that_are_alike_are_counted) {
    struct bench bench = start_without_key();
    update_image(&bench, ROW("1", "a", "b"), ROW("2", "a", "b"));
    update_image(&bench, ROW("1", "a", "b"), ROW("3", "a", "b"));
    update_image(&bench, ROW("4", "a", "b"), ROW("1", "a", "b"));
    change_builder_delete(&bench.builder, bench.relation, ROW("1", "a", "b"));
    change_builder_delete(&bench.builder, bench.relation, ROW("1", "a", "b"));
    fill_up(&bench);
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(bench.net.effect_count, 16);
    cr_assert_eq(effect->delete_count, 2, "of the row that became so and of a third");
    cr_assert_eq(bench.net.places[0].image, bench.net.places[1].image);
    cr_assert_eq(bench.net.places[0].rank, 1);
    cr_assert_eq(bench.net.places[1].rank, 2);
    cr_assert_eq(bench.net.places[3].rank, 1, "deletes are a statement of their own");
    bench_release(&bench);
}

Test(net_effect, without_a_key_updates_of_other_columns_are_one_group) {
    struct bench bench = start_without_key();
    update_image(&bench, ROW("1", "a", "b"), ROW("1", UNCHANGED_TEXT, "B"));
    update_image(&bench, ROW("2", "a", "b"), ROW("2", "A", UNCHANGED_TEXT));
    fill_up(&bench);
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(effect->group_count, 1);
    cr_assert(column_set_meets(&effect->groups->unsent, &effect->groups->written));
    cr_assert_eq(effect->groups->written.count, 2, "id is the same in all");
    bench_release(&bench);
}

Test(net_effect, without_a_key_only_columns_that_differ_somewhere_are_set) {
    struct bench bench = start_without_key();
    update_image(&bench, ROW("1", "a", "b"), ROW("1", "a", "B"));
    update_image(&bench, ROW("2", "a", "b"), ROW("2", "a", "b"));
    for (int i = 0; i < 12; i++)
        update_image(&bench, ROW("9", "a", "up"), ROW("9", "a", "again"));
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(effect->groups->count, 14, "an update that changes nothing finds its row too");
    cr_assert_eq(effect->groups->written.count, 1);
    cr_assert(column_set_has(&effect->groups->written, 2));
    cr_assert_not(column_set_meets(&effect->groups->unsent, &effect->groups->written));
    bench_release(&bench);
}

Test(net_effect, without_a_key_updates_that_change_nothing_find_their_rows) {
    struct bench bench = start_without_key();
    for (int i = 0; i < 12; i++)
        update_image(&bench, ROW("1", "a", "b"), ROW("1", "a", "b"));
    const struct table_effect *effect = reduce(&bench);
    cr_assert_not(effect->by_rows);
    cr_assert_eq(effect->groups->written.count, 1, "a statement has to set something");
    bench_release(&bench);
}

static void update_five(struct bench *bench) {
    for (int i = 0; i < 5; i++)
        update_image(bench, ROW("1", "a", "b"), ROW("2", "a", "b"));
}

Test(net_effect, without_a_key_few_changes_are_left_to_the_rows_and_fewer_with_an_index) {
    struct bench bench = start_without_key();
    update_five(&bench);
    expect_by_rows(&bench);
    bench = start_without_key();
    bench.table->searched_count = 1;
    update_five(&bench);
    cr_assert_not(reduce(&bench)->by_rows);
    bench_release(&bench);
}

Test(net_effect, a_table_that_is_too_wide_for_a_search_of_many_is_left_to_the_rows) {
    struct bench bench = start_without_key();
    bench.table->takes_images = false;
    fill_up(&bench);
    expect_by_rows(&bench);
}
