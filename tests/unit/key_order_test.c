/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_order_test.c - all rows are there once, in the order of their keys' bytes.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "sinks/postgres/apply/key_order.h"
#include "tests/support/plain_table.h"

enum { ROWS = 500, KEY_BYTES = 16 };

struct bench {
    struct change_builder builder;
    struct target_table *table;
    struct value values[ROWS][2];
    char keys[ROWS][2][KEY_BYTES];
    struct effect effects[ROWS];
    const struct effect *list[ROWS];
};

static struct bench bench;

static void setup(void) {
    change_builder_init(&bench.builder);
    bench.table =
        plain_table(&bench.builder, change_builder_relation(&bench.builder, "t", REPLICA_IDENTITY_DEFAULT,
                                                            "a text key, b text key"));
}

static void teardown(void) {
    change_builder_release(&bench.builder);
}

TestSuite(key_order, .init = setup, .fini = teardown);

static void put(size_t i, const char *a, const char *b) {
    snprintf(bench.keys[i][0], KEY_BYTES, "%s", a);
    snprintf(bench.keys[i][1], KEY_BYTES, "%s", b);
    for (int k = 0; k < 2; k++)
        bench.values[i][k] = (struct value){
            .kind = VALUE_TEXT, .data = bench.keys[i][k], .size = (uint32_t) strlen(bench.keys[i][k])};
    bench.effects[i] = (struct effect){.table = bench.table, .key = bench.values[i]};
    bench.list[i] = &bench.effects[i];
}

static int compare(const struct effect *one, const struct effect *other) {
    const int order = strcmp(one->key[0].data, other->key[0].data);
    return order != 0 ? order : strcmp(one->key[1].data, other->key[1].data);
}

static void sort(uint32_t count) {
    struct error err = {0};
    cr_assert(key_order_sort(bench.list, count, &bench.builder.arena, &err), "%s", err.text);
    for (uint32_t i = 1; i < count; i++)
        cr_assert_lt(compare(bench.list[i - 1], bench.list[i]), 0, "place %u", i);
}

/* Keys that differ at once, after eight bytes, by their length, and in the second column only. */
Test(key_order, keys_of_every_kind_are_sorted) {
    static const char *const HEADS[] = {"", "a", "same-head-of-", "same-he", "z"};
    for (size_t i = 0; i < ROWS; i++) {
        char a[KEY_BYTES], b[KEY_BYTES];
        snprintf(a, sizeof a, "%s%zu", HEADS[i * 7 % 5], i * 37 % 10);
        snprintf(b, sizeof b, "%zu", i * 211 % ROWS);
        put(i, a, b);
    }
    sort(ROWS);
}

Test(key_order, sorted_keys_stay_as_they_are) {
    put(0, "a", "1");
    put(1, "a", "2");
    put(2, "b", "");
    sort(3);
    for (uint32_t i = 0; i < 3; i++)
        cr_assert_eq(bench.list[i], &bench.effects[i]);
}

Test(key_order, there_may_be_no_row) {
    sort(0);
}
