/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ledger_test.c - counts close, and a change that is lost is named by its table.
 */
#include <criterion/criterion.h>
#include <string.h>

#include "cdc/engine/ledger.h"

static const struct relation A = {.oid = 1, .schema = {"s", 1}, .name = {"a", 1}};
static const struct relation B = {.oid = 2, .schema = {"s", 1}, .name = {"b", 1}};
static const struct relation *const BOTH[] = {&A, &B};

/* Two rows of a, one of b, a TRUNCATE of both, and no row. */
static const struct change CHANGES[] = {
    {.kind = CHANGE_BEGIN},
    {.kind = CHANGE_INSERT, .relation = &A},
    {.kind = CHANGE_UPDATE, .relation = &A},
    {.kind = CHANGE_DELETE, .relation = &B},
    {.kind = CHANGE_TRUNCATE, .relations = (const struct relation **) (uintptr_t) BOTH, .relation_count = 2},
    {.kind = CHANGE_MESSAGE},
    {.kind = CHANGE_COMMIT},
};
enum { COUNT = sizeof CHANGES / sizeof *CHANGES };

static struct ledger ledger;
static struct error err;

static void prepare(void) {
    ledger_init(&ledger);
    err = (struct error){0};
}

static void release(void) {
    ledger_release(&ledger);
}

TestSuite(ledger, .init = prepare, .fini = release);

static void add(enum ledger_side side, size_t first, size_t count) {
    cr_assert(ledger_add(&ledger, side, CHANGES + first, count, &err));
}

Test(ledger, counts_rows_and_truncates_by_table) {
    add(LEDGER_IN, 0, COUNT);
    cr_assert_eq(ledger_find(&ledger, 1)->counts[LEDGER_IN], 3);
    cr_assert_eq(ledger_find(&ledger, 2)->counts[LEDGER_IN], 2);
    cr_assert_null(ledger_find(&ledger, 3));
    cr_assert_not(ledger_check(&ledger, &err));
    add(LEDGER_WRITTEN, 0, COUNT);
    cr_assert(ledger_check(&ledger, &err));
}

Test(ledger, closes_when_each_change_went_somewhere) {
    add(LEDGER_IN, 0, COUNT);
    add(LEDGER_WRITTEN, 0, 2);
    add(LEDGER_PRESENT, 2, 1);
    add(LEDGER_SKIPPED, 3, 1);
    add(LEDGER_COPIED, 4, 3);
    cr_assert(ledger_check(&ledger, &err));
    /* A filter that takes two and keeps one. */
    add(LEDGER_IN, 1, 2);
    add(LEDGER_COPIED, 1, 2);
    ledger_subtract(&ledger, LEDGER_COPIED, CHANGES + 2, 1);
    add(LEDGER_WRITTEN, 2, 1);
    cr_assert(ledger_check(&ledger, &err));
}

Test(ledger, names_the_table_that_does_not_close) {
    add(LEDGER_IN, 0, COUNT);
    add(LEDGER_WRITTEN, 0, 3);
    add(LEDGER_WRITTEN, 4, 3);
    cr_assert_not(ledger_check(&ledger, &err));
    cr_assert_eq(err.kind, ERROR_DIFFERENT);
    cr_assert_not_null(
        strstr(err.text, "table s.b does not close: of 2 changes that came in, 1 were written"));
}

Test(ledger, a_change_that_is_written_twice_does_not_close_either) {
    add(LEDGER_IN, 1, 1);
    add(LEDGER_WRITTEN, 1, 1);
    add(LEDGER_WRITTEN, 1, 1);
    cr_assert_not(ledger_check(&ledger, &err));
}

Test(ledger, what_was_sent_must_come_in) {
    struct ledger sent;
    ledger_init(&sent);
    cr_assert(ledger_add(&sent, LEDGER_IN, CHANGES, COUNT, &err));
    add(LEDGER_IN, 0, 4);
    cr_assert_not(ledger_check_against(&ledger, &sent, &err));
    cr_assert_not_null(strstr(err.text, "table s.a does not close: 3 changes were read, and 2 came in"));
    add(LEDGER_IN, 4, 1);
    cr_assert(ledger_check_against(&ledger, &sent, &err));
    ledger_release(&sent);
}

/* What was written is told once it is committed, and only then. */
Test(ledger, tells_what_was_written_by_operation) {
    static struct table_counts counts;
    ledger.tells = &counts;
    add(LEDGER_IN, 0, COUNT);
    add(LEDGER_WRITTEN, 0, COUNT);
    cr_assert_eq(atomic_load(&counts.count), 0);
    ledger_tell(&ledger);
    ledger_tell(&ledger);
    struct table_count *a = table_counts_find(&counts, 1, A.schema, A.name);
    struct table_count *b = table_counts_find(&counts, 2, B.schema, B.name);
    cr_assert_str_eq(a->name, "s.a");
    cr_assert_eq(atomic_load(&a->counts[TABLE_INSERT]), 1);
    cr_assert_eq(atomic_load(&a->counts[TABLE_UPDATE]), 1);
    cr_assert_eq(atomic_load(&a->counts[TABLE_TRUNCATE]), 1);
    cr_assert_eq(atomic_load(&b->counts[TABLE_DELETE]), 1);
    cr_assert_eq(atomic_load(&b->counts[TABLE_TRUNCATE]), 1);
    cr_assert_eq(atomic_load(&b->counts[TABLE_INSERT]), 0);
}
