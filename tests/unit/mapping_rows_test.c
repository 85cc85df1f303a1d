/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mapping_rows_test.c - a row of COPY and the same row as a change get the same values; rules are found in
 * their order.
 */
#include <criterion/criterion.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "sinks/mapping/copy_map.h"
#include "sinks/mapping/match.h"
#include "sinks/mapping/row_map.h"

enum { COLUMNS = 4, ROWS = 2000, TEXT_MAX = 40 };

static struct arena arena;
static struct error err;

static void set_up(void) {
    arena_init(&arena, 65536, (size_t) 1 << 30);
    err = (struct error){0};
}

static void tear_down(void) {
    arena_release(&arena);
}

TestSuite(mapping_rows, .init = set_up, .fini = tear_down);

/* ---- a mapping ---- */

static const struct step CLEAN[] = {{.kind = STEP_TRIM}, {.kind = STEP_NULLIF, .text = "x"}};
static const struct step HIDE[] = {{.kind = STEP_PARTIAL, .text = "*", .last = 1}};
static const struct step FILL[] = {{.kind = STEP_DEFAULT, .text = "none\t\\"}};

static const struct column_rule COLUMN_RULES[] = {
    {.name = "a", .as = "first", .steps = CLEAN, .step_count = 2},
    {.name = "b", .as = "b", .drops = true},
    {.name = "c", .as = "c", .steps = HIDE, .step_count = 1},
    {.name = "d", .as = "d", .steps = FILL, .step_count = 1},
    {.name = "tag", .as = "tag", .source = COLUMN_CONST, .text = "one\ttwo"},
    {.name = "op", .as = "op", .source = COLUMN_OPERATION},
};

static struct mapping mapping_with(struct rule *rule, const char *match, const char *to) {
    *rule = (struct rule){.match = match, .to = to};
    cr_assert(rule_pattern_compile(match, &arena, &rule->pattern, &err), "%s", err.text);
    return (struct mapping){.rules = rule, .count = 1};
}

static struct table_column text_column(const char *name) {
    return (struct table_column){.name = name,
                                 .type_oid = 25,
                                 .type_modifier = -1,
                                 .type_schema = "pg_catalog",
                                 .type_name = "text",
                                 .type_sql = "text",
                                 .published = true};
}

static const char *const NAMES[COLUMNS] = {"a", "b", "c", "d"};

/* ---- random rows ---- */

static void random_value(char text[TEXT_MAX], struct value *value) {
    static const char LETTERS[] = "x \t\n\\abN*\r\v\f\b.";
    const size_t size = (size_t) (rand() % 12);
    for (size_t i = 0; i < size; i++)
        text[i] = LETTERS[(size_t) rand() % (sizeof LETTERS - 1)];
    *value = (struct value){.data = text, .size = (uint32_t) size, .kind = VALUE_TEXT};
    if (rand() % 5 == 0)
        *value = (struct value){.kind = VALUE_NULL};
}

static void append_escaped(struct buffer *row, const struct value *value) {
    static const char FROM[] = "\b\f\n\r\t\v\\", TO[] = "bfnrtv\\";
    if (value->kind == VALUE_NULL) {
        buffer_append_text(row, "\\N");
        return;
    }
    for (uint32_t i = 0; i < value->size; i++) {
        const char *at = memchr(FROM, value->data[i], sizeof FROM - 1);
        if (at != NULL)
            buffer_append_text(row, "\\");
        buffer_append(row, at != NULL ? &TO[at - FROM] : &value->data[i], 1);
    }
}

Test(mapping_rows, a_copied_row_and_a_streamed_one_are_the_same) {
    struct rule rule;
    struct mapping mapping = mapping_with(&rule, "s.t", "u.v");
    struct table_column table_columns[COLUMNS];
    struct column columns[COLUMNS];
    for (int i = 0; i < COLUMNS; i++) {
        table_columns[i] = text_column(NAMES[i]);
        columns[i] = (struct column){.name = slice_of(NAMES[i]), .type_oid = 25};
    }
    rule.columns = COLUMN_RULES;
    rule.column_count = sizeof COLUMN_RULES / sizeof *COLUMN_RULES;
    const struct table table = {
        .oid = 1, .schema = "s", .name = "t", .column_count = COLUMNS, .columns = table_columns};
    const struct relation relation = {.oid = 1,
                                      .schema = slice_of("s"),
                                      .name = slice_of("t"),
                                      .column_count = COLUMNS,
                                      .columns = columns};
    struct table_map map;
    struct table mapped;
    struct copy_map copy = {0};
    struct row_map rows;
    struct buffer row AUTO(buffer_release), expected AUTO(buffer_release);
    buffer_init(&row, 1 << 20);
    buffer_init(&expected, 1 << 20);
    row_map_init(&rows, &mapping, "sink", NULL);
    cr_assert(table_map_table(&mapping, "sink", &table, &arena, &map, &mapped, &err), "%s", err.text);
    cr_assert(copy_map_begin(&copy, &map, &table, &mapped, NULL, &arena, &err));
    srand(1);
    for (int i = 0; i < ROWS; i++) {
        char texts[COLUMNS][TEXT_MAX];
        struct value values[COLUMNS];
        buffer_reset(&row);
        buffer_reset(&expected);
        for (int k = 0; k < COLUMNS; k++) {
            random_value(texts[k], &values[k]);
            append_escaped(&row, &values[k]);
            buffer_append_text(&row, k + 1 < COLUMNS ? "\t" : "\n");
        }
        const struct change change = {.kind = CHANGE_READ, .relation = &relation, .new_values = values};
        const struct sink_span span = {.changes = &change, .count = 1};
        struct sink_span made_span;
        struct slice copied;
        cr_assert(row_map_span(&rows, &span, &made_span, &err), "%s", err.text);
        const struct change *made = made_span.changes;
        for (uint32_t k = 0; k < made->relation->column_count; k++) {
            append_escaped(&expected, &made->new_values[k]);
            buffer_append_text(&expected, k + 1 < made->relation->column_count ? "\t" : "\n");
        }
        cr_assert(copy_map_rows(&copy, buffer_slice(&row), &copied, &err), "%s", err.text);
        cr_assert(slice_equal(copied, buffer_slice(&expected)), "%.*s became %.*s instead of %.*s",
                  (int) row.size, row.data, (int) copied.size, copied.data, (int) expected.size,
                  expected.data);
    }
    cr_assert_str_eq(mapped.schema, "u");
    cr_assert_str_eq(mapped.name, "v");
    cr_assert_eq(mapped.column_count, 5);
    copy_map_release(&copy);
    row_map_release(&rows);
}

/* ---- definitions ---- */

static const struct relation *map_one(struct row_map *rows, const struct relation *relation) {
    static const struct transaction transaction = {.xid = 1000, .commit_lsn = 100, .end_lsn = 200};
    const struct value values[COLUMNS] = {0};
    const struct change change = {
        .kind = CHANGE_INSERT, .relation = relation, .new_values = values, .transaction = &transaction};
    const struct sink_span span = {.changes = &change, .count = 1};
    struct sink_span made;
    cr_assert(row_map_span(rows, &span, &made, &err), "%s", err.text);
    cr_assert_eq(made.count, 1);
    return made.changes[0].relation;
}

/* A sink keeps what it knows of a table by the address of the definition. */
Test(mapping_rows, a_definition_that_is_told_takes_no_place_of_others) {
    struct rule rule;
    struct mapping mapping = mapping_with(&rule, "s.t", "u.v");
    struct column columns[COLUMNS];
    for (int i = 0; i < COLUMNS; i++)
        columns[i] = (struct column){.name = slice_of(NAMES[i]), .type_oid = 25};
    const struct relation before = {
        .oid = 1, .schema = slice_of("s"), .name = slice_of("t"), .column_count = 2, .columns = columns};
    struct relation after = before, told = before;
    after.column_count = 3;
    told.oid = 2;
    told.name = slice_of("w");
    struct row_map rows;
    row_map_init(&rows, &mapping, "sink", NULL);
    const struct relation *first = map_one(&rows, &before);
    for (uint32_t count = 1; count <= COLUMNS; count++) {
        const struct relation *defined = NULL;
        told.column_count = count; /* at the same address */
        cr_assert(row_map_define(&rows, &told, &defined, &err), "%s", err.text);
        cr_assert_eq(defined->column_count, count);
    }
    const struct relation *second = map_one(&rows, &after);
    cr_assert_neq(first, second);
    cr_assert_eq(first->column_count, 2);
    cr_assert_eq(second->column_count, 3);
    row_map_release(&rows);
}

/* ---- names ---- */

static void assert_named(const char *match, const char *to, const char *schema, const char *table,
                         const char *expected) {
    struct rule rule;
    struct mapped_name name;
    const struct rule *found = NULL;
    const struct mapping mapping = mapping_with(&rule, match, to);
    cr_assert(rule_find(&mapping, "sink", schema, table, &found, &err), "%s", err.text);
    if (expected == NULL) {
        cr_assert_null(found, "%s matches %s.%s", match, schema, table);
        return;
    }
    cr_assert_not_null(found, "%s does not match %s.%s", match, schema, table);
    char text[256];
    cr_assert(rule_name(found, schema, table, &arena, &name, &err), "%s", err.text);
    snprintf(text, sizeof text, "%s|%s", name.schema, name.table);
    cr_assert_str_eq(text, expected);
}

Test(mapping_rows, a_table_gets_the_name_of_its_rule) {
    assert_named("public.*", NULL, "public", "t", "public|t");
    assert_named("public.*", "crm.x", "public", "t", "crm|x");
    assert_named("public.*", "crm.x", "publicity", "t", NULL);
    assert_named("/tenant_(\\d+)\\.(.*)/", "all.$2_$1", "tenant_12", "orders", "all|orders_12");
    assert_named("/tenant_(\\d+)\\.(.*)/", "all.$2_$1", "tenant_x", "orders", NULL);
    assert_named("/enant_1.a/", "x.y", "tenant_1", "a", NULL);
    assert_named("/(a)|(b).*/", "x.t$1$2", "b", "c", "x|tb");
    assert_named("/(.*)\\.(.*)/", "\"$1\".\"a.$2\"", "é", "ü.ö", "é.ü|a.ö");
    assert_named("\"a.b\".*", "\"c.d\".\"$1\"", "a.b", "t", "c.d|$1");
}

static void *match_many(void *mapping) {
    struct arena names;
    struct error error = {0};
    bool is_right = true;
    arena_init(&names, 65536, (size_t) 1 << 20);
    for (int i = 0; i < 5000 && is_right; i++) {
        char table[16];
        const struct rule *rule = NULL;
        struct mapped_name name = {0};
        snprintf(table, sizeof table, "%.*d", 1 + i % 12, i % 10);
        is_right = rule_find(mapping, "sink", "public", table, &rule, &error) && rule != NULL &&
                   rule_name(rule, "public", table, &names, &name, &error) && strcmp(name.table, table) == 0;
        arena_reset(&names);
    }
    arena_release(&names);
    return is_right ? mapping : NULL;
}

/* The copiers of a sink match at once. */
Test(mapping_rows, threads_match_one_expression) {
    enum { THREADS = 4 };
    struct rule rule;
    pthread_t threads[THREADS];
    struct mapping mapping = mapping_with(&rule, "/public\\.(.*)/", "copied.$1");
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, match_many, &mapping), 0);
    for (int i = 0; i < THREADS; i++) {
        void *right = NULL;
        cr_assert_eq(pthread_join(threads[i], &right), 0);
        cr_assert_not_null(right);
    }
}

Test(mapping_rows, a_name_that_becomes_empty_is_refused) {
    struct rule rule;
    struct mapped_name name;
    const struct mapping mapping = mapping_with(&rule, "/a\\.b(c?)/", "x.$1");
    cr_assert_not(rule_name(&mapping.rules[0], "a", "b", &arena, &name, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
}

Test(mapping_rows, an_expression_that_takes_too_long_is_refused) {
    struct rule rule;
    const struct rule *found = NULL;
    const struct mapping mapping = mapping_with(&rule, "/(a+)+b\\.c/", NULL);
    cr_assert_not(
        rule_find(&mapping, "sink", "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", "c", &found, &err));
    cr_assert_eq(err.kind, ERROR_CONFIG);
}
