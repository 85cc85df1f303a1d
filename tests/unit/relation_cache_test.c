/* SPDX-License-Identifier: Apache-2.0 */
/*
 * relation_cache_test.c - what is in force, what was, and how much of it.
 */
#include <criterion/criterion.h>
#include <stdio.h>

#include "decoder/relation.h"
#include "tests/support/random.h"

static void free_cache(struct relation_cache **cache) {
    relation_cache_free(*cache);
}

#define NAME(text)                                                                                           \
    { .data = (text), .size = sizeof(text) - 1 }
#define COLUMN(text, oid, key)                                                                               \
    { .name = NAME(text), .type_oid = (oid), .type_modifier = -1, .is_key = (key) }

static struct column order_columns[] = {COLUMN("id", 20, true), COLUMN("note", 25, false)};
static const struct relation orders = {.oid = 16384,
                                       .schema = NAME("public"),
                                       .name = NAME("orders"),
                                       .identity = REPLICA_IDENTITY_DEFAULT,
                                       .column_count = 2,
                                       .key_count = 1,
                                       .columns = order_columns};

static const struct relation *put(struct relation_cache *cache, const struct relation *definition) {
    const struct relation *relation = NULL;
    struct error err = {0};
    cr_assert(relation_cache_put(cache, definition, &relation, &err), "%s", err.text);
    return relation;
}

Test(relation_cache, what_was_put_is_found_and_is_a_copy) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    char name[] = "orders";
    struct relation definition = orders;
    definition.name.data = name;
    const struct relation *relation = put(cache, &definition);
    memset(name, 'x', sizeof name);
    cr_assert_eq(relation_cache_find(cache, orders.oid), relation);
    cr_assert_str_eq(relation->name.data, "orders", "NUL-terminated and its own");
    cr_assert_neq(relation->columns, orders.columns);
    cr_assert_str_eq(relation->columns[1].name.data, "note");
    cr_assert_eq(relation->key_count, 1);
}

Test(relation_cache, nothing_is_found_that_was_not_put) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    cr_assert_null(relation_cache_find(cache, orders.oid));
    put(cache, &orders);
    cr_assert_null(relation_cache_find(cache, orders.oid + 1));
}

Test(relation_cache, the_same_definition_again_is_the_same_relation) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    const struct relation *first = put(cache, &orders);
    for (int i = 0; i < 1000000; i++) /* were each copied, they would not fit */
        cr_assert_eq(put(cache, &orders), first);
}

/* Each differs from orders in one thing. */
Test(relation_cache, any_difference_makes_a_new_relation) {
    struct column other[][2] = {{COLUMN("id", 20, true), COLUMN("Note", 25, false)},
                                {COLUMN("id", 23, true), COLUMN("note", 25, false)},
                                {COLUMN("id", 20, true), COLUMN("note", 25, true)},
                                {COLUMN("id", 20, true), COLUMN("note", 25, false)}};
    other[3][1].type_modifier = 12;
    struct relation different[8];
    for (size_t i = 0; i < 8; i++)
        different[i] = orders;
    for (size_t i = 0; i < 4; i++)
        different[i].columns = other[i];
    different[4].schema = slice_of("private");
    different[5].name = slice_of("orderz");
    different[6].identity = REPLICA_IDENTITY_FULL;
    different[7].column_count = 1;
    for (size_t i = 0; i < 8; i++) {
        AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
        const struct relation *first = put(cache, &orders);
        const struct relation *second = put(cache, &different[i]);
        cr_assert_neq(second, first, "difference %zu", i);
        cr_assert_eq(relation_cache_find(cache, orders.oid), second);
    }
}

Test(relation_cache, a_former_definition_stays_as_it_was) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    const struct relation *former = put(cache, &orders);
    struct relation renamed = orders;
    renamed.name = slice_of("renamed");
    put(cache, &renamed);
    cr_assert_str_eq(former->name.data, "orders");
    cr_assert_str_eq(former->columns[0].name.data, "id");
}

Test(relation_cache, a_table_without_columns_is_one) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    struct relation bare = {.oid = 1, .schema = slice_of("s"), .name = slice_of("t"), .identity = 'd'};
    cr_assert_eq(put(cache, &bare)->column_count, 0);
}

/* Puts count tables of column_count columns. */
static void fill(struct relation_cache *cache, oid_t count, uint32_t column_count) {
    static struct column columns[RELATION_COLUMNS_MAX];
    for (uint32_t i = 0; i < column_count; i++)
        columns[i] = (struct column) COLUMN("a_column_with_a_name", 25, 0);
    struct relation wide = orders;
    wide.columns = columns;
    wide.column_count = column_count;
    for (wide.oid = 1; wide.oid <= count; wide.oid++)
        put(cache, &wide);
}

/* 9,000 tables of 100 columns, changed in one transaction, were more than a session took, each time anew. */
Test(relation_cache, a_large_schema_fits_whole) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    fill(cache, 9000, 100);
    cr_assert_not_null(relation_cache_find(cache, 9000));
    cr_assert_not(relation_cache_is_large(cache));
}

Test(relation_cache, tables_made_without_end_are_a_reason_for_a_new_session) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    fill(cache, 2500, RELATION_COLUMNS_MAX);
    cr_assert(relation_cache_is_large(cache));
}

Test(relation_cache, types_are_found_by_oid_and_the_last_name_counts) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    struct error err = {0};
    struct type_name mood = {.oid = 16400, .schema = slice_of("public"), .name = slice_of("mood")};
    cr_assert_null(relation_cache_find_type(cache, mood.oid));
    cr_assert(relation_cache_put_type(cache, &mood, &err));
    const struct type_name *first = relation_cache_find_type(cache, mood.oid);
    cr_assert_str_eq(first->name.data, "mood");
    cr_assert(relation_cache_put_type(cache, &mood, &err));
    cr_assert_eq(relation_cache_find_type(cache, mood.oid), first, "the same again allocates nothing");
    mood.name = slice_of("temper");
    cr_assert(relation_cache_put_type(cache, &mood, &err));
    cr_assert_str_eq(relation_cache_find_type(cache, mood.oid)->name.data, "temper");
    cr_assert_null(relation_cache_find(cache, mood.oid), "a type is no relation");
}

static void assert_type(const struct column *column, const char *schema, const char *name) {
    cr_assert_str_eq(column->type_schema.data, schema);
    cr_assert_str_eq(column->type_name.data, name);
    cr_assert_eq(column->type_name.size, strlen(name));
}

Test(relation_cache, built_in_types_have_their_names) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    const struct relation *relation = put(cache, &orders);
    assert_type(&relation->columns[0], "pg_catalog", "int8");
    assert_type(&relation->columns[1], "pg_catalog", "text");
}

Test(relation_cache, a_type_that_nobody_named_is_called_by_its_oid) {
    static const struct {
        oid_t oid;
        const char *name;
    } CASES[] = {{0, "oid:0"}, {9, "oid:9"}, {9999, "oid:9999"}, {4294967295, "oid:4294967295"}};
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    for (size_t i = 0; i < sizeof CASES / sizeof *CASES; i++) {
        struct column column = COLUMN("c", CASES[i].oid, false);
        struct relation table = {
            .oid = 1, .schema = NAME("s"), .name = NAME("t"), .column_count = 1, .columns = &column};
        const struct relation *relation = put(cache, &table);
        assert_type(&relation->columns[0], "pg_catalog", CASES[i].name);
        cr_assert_eq(put(cache, &table), relation);
    }
}

Test(relation_cache, a_type_that_was_renamed_makes_a_new_relation) {
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    struct error err = {0};
    struct column column = COLUMN("c", 16400, false);
    struct relation table = {
        .oid = 1, .schema = NAME("s"), .name = NAME("t"), .column_count = 1, .columns = &column};
    struct type_name mood = {.oid = 16400, .schema = NAME("public"), .name = NAME("mood")};
    cr_assert(relation_cache_put_type(cache, &mood, &err));
    const struct relation *former = put(cache, &table);
    assert_type(&former->columns[0], "public", "mood");
    cr_assert_eq(put(cache, &table), former);
    mood.name = (struct slice) NAME("temper");
    cr_assert(relation_cache_put_type(cache, &mood, &err));
    assert_type(&put(cache, &table)->columns[0], "public", "temper");
    assert_type(&former->columns[0], "public", "mood");
}

Test(relation_cache, release_accepts_null) {
    relation_cache_free(NULL);
}

/*
 * The model: the last version of each table, and every pointer ever returned with the version it stands for.
 */
#define TABLES 50
#define PUTS 3000

struct put_record {
    const struct relation *relation;
    uint32_t version;
};

static const struct relation *put_version(struct relation_cache *cache, uint32_t table, uint32_t version) {
    char name[32];
    snprintf(name, sizeof name, "t%u_v%u", table, version);
    struct relation definition = orders;
    definition.oid = 16384 + table * 7;
    definition.name = slice_of(name);
    return put(cache, &definition);
}

Test(relation_cache, random_programs_agree_with_the_model) {
    struct random random = random_start("relation_cache");
    AUTO(free_cache) struct relation_cache *cache = relation_cache_new();
    struct put_record last[TABLES] = {0}, all[PUTS];
    for (size_t i = 0; i < PUTS; i++) {
        uint32_t table = random_below(&random, TABLES);
        uint32_t version = random_below(&random, 3);
        struct put_record record = {.relation = put_version(cache, table, version), .version = version};
        if (last[table].relation != NULL)
            cr_assert_eq(record.relation == last[table].relation, version == last[table].version);
        all[i] = last[table] = record;
        cr_assert_eq(relation_cache_find(cache, 16384 + table * 7), record.relation);
    }
    for (size_t i = 0; i < PUTS; i++) {
        const char *name = all[i].relation->name.data;
        cr_assert_eq((uint32_t) (name[strlen(name) - 1] - '0'), all[i].version, "%s was changed", name);
    }
}
