/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_counts_test.c - a table keeps its place, and what has none is counted together.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "cdc/engine/table_counts.h"

static struct table_counts counts;

static struct table_count *find(oid_t oid, const char *name) {
    return table_counts_find(&counts, oid, slice_of("public"), slice_of(name));
}

Test(table_counts, a_table_is_found_again_by_its_oid) {
    struct table_count *table = find(7, "a");
    cr_assert_str_eq(table->name, "public.a");
    cr_assert_eq(find(7, "renamed"), table);
    cr_assert_neq(find(8, "a"), table);
    cr_assert_eq(atomic_load(&counts.count), 2);
}

Test(table_counts, tables_beyond_the_room_share_one_place) {
    for (oid_t oid = 1; oid <= TABLE_COUNTS_MAX; oid++)
        cr_assert_eq(find(oid, "t"), &counts.tables[oid - 1]);
    cr_assert_eq(find(TABLE_COUNTS_MAX + 1, "t"), &counts.others);
    cr_assert_eq(find(TABLE_COUNTS_MAX + 2, "t"), &counts.others);
    cr_assert_eq(find(1, "t"), &counts.tables[0]);
}

Test(table_counts, a_long_name_loses_its_end_and_no_part_of_a_character) {
    char name[256] = "";
    for (int i = 0; i < 63; i++)
        strcat(name, "\xc3\xa4");
    const struct table_count *table = find(1, name);
    const size_t length = strlen(table->name);
    cr_assert_lt(length, TABLE_COUNT_NAME_MAX);
    cr_assert_eq((unsigned char) table->name[length - 1] & 0x80, 0);
}

Test(table_counts, operations_are_counted_apart) {
    struct table_count *table = find(1, "t");
    table_count_add(table, TABLE_INSERT, 3);
    table_count_add(table, TABLE_DELETE, 2);
    table_count_add(table, TABLE_INSERT, 1);
    cr_assert_eq(atomic_load(&table->counts[TABLE_INSERT]), 4);
    cr_assert_eq(atomic_load(&table->counts[TABLE_DELETE]), 2);
    cr_assert_eq(atomic_load(&table->counts[TABLE_UPDATE]), 0);
}
