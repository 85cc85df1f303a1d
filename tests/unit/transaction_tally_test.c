/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_tally_test.c - each table is counted under its name, in the order of the first ones.
 */
#include "sinks/formats/transaction_tally.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>

#include "tests/support/random.h"

enum { TABLES = 1000, ADDITIONS = 20000 };

static const struct transaction TRANSACTION = {.commit_lsn = 7, .xid = 3};

static uint64_t add(struct transaction_tally *tally, const struct relation *relation) {
    struct error err = {0};
    uint64_t count = 0;
    cr_assert(transaction_tally_add(tally, relation, &count, &err), "%s", err.text);
    return count;
}

/*
 * Against an array of counts, over several transactions; every other addition by a later definition of the
 * table.
 */
Test(transaction_tally, counts_as_an_array_does) {
    static struct relation first[TABLES], later[TABLES];
    static char names[TABLES][16];
    struct transaction_tally tally = {0};
    struct random random = random_start("transaction_tally");
    for (int i = 0; i < TABLES; i++) {
        snprintf(names[i], sizeof names[i], "t%d", i);
        first[i] = (struct relation){.schema = {"public", 6}, .name = slice_of(names[i])};
        later[i] = first[i];
    }
    for (int round = 0; round < 3; round++) {
        uint64_t counts[TABLES] = {0};
        size_t distinct = 0;
        transaction_tally_start(&tally, &TRANSACTION);
        for (int i = 0; i < ADDITIONS >> (round * 4); i++) {
            const size_t table = random_below(&random, TABLES);
            distinct += counts[table] == 0;
            cr_assert_eq(add(&tally, i % 2 != 0 ? &first[table] : &later[table]), ++counts[table]);
        }
        cr_assert_eq(tally.table_count, distinct);
        cr_assert_eq(tally.event_count, ADDITIONS >> (round * 4));
        for (size_t i = 0; i < tally.table_count; i++)
            cr_assert_eq(tally.tables[i].change_count,
                         counts[strtol(tally.tables[i].relation->name.data + 1, NULL, 10)]);
    }
    transaction_tally_release(&tally);
}

Test(transaction_tally, tables_come_in_the_order_of_their_first_changes) {
    const struct relation a = {.schema = {"s", 1}, .name = {"a", 1}};
    const struct relation b = {.schema = {"s", 1}, .name = {"b", 1}};
    const struct relation sa = {.schema = {"sa", 2}, .name = {"", 0}};
    struct transaction_tally tally = {0};
    transaction_tally_start(&tally, &TRANSACTION);
    add(&tally, &b);
    add(&tally, &a);
    add(&tally, &sa);
    cr_assert_eq(add(&tally, &b), 2);
    cr_assert_eq(tally.table_count, 3, "a schema and a name are two things");
    cr_assert_eq(tally.tables[0].relation, &b);
    cr_assert_eq(tally.tables[1].relation, &a);
    transaction_tally_release(&tally);
}
