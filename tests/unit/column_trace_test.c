/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_trace_test.c - random histories of a table: what is said of a column of an earlier definition is so.
 */
#include <criterion/criterion.h>

#include "sinks/mapping/column_trace.h"
#include "tests/support/random.h"

enum { COLUMNS_MAX = 12, NAMES = 8, STEPS_MAX = 8, HISTORIES = 20000 };

static const char *const NAME[NAMES] = {"a", "b", "c", "d", "e", "f", "g", "h"};

struct history {
    struct random random;
    struct catalog_column columns[COLUMNS_MAX]; /* as the catalog has them */
    struct catalog_table catalog;
};

struct definition {
    struct relation relation;
    struct column columns[COLUMNS_MAX];
    uint32_t numbers[COLUMNS_MAX];
};

static bool has_name(const struct history *history, const char *name) {
    for (uint32_t i = 0; i < history->catalog.column_count; i++)
        if (!history->columns[i].is_dropped && slice_equal(history->columns[i].name, slice_of(name)))
            return true;
    return false;
}

static const char *free_name(struct history *history) {
    for (;;) {
        const char *name = NAME[random_below(&history->random, NAMES)];
        if (!has_name(history, name))
            return name;
    }
}

static uint32_t live(const struct history *history) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < history->catalog.column_count; i++)
        count += !history->columns[i].is_dropped;
    return count;
}

static void add_one(struct history *history, bool is_old) {
    if (history->catalog.column_count < COLUMNS_MAX && live(history) < NAMES - 1)
        history->columns[history->catalog.column_count++] =
            (struct catalog_column){.name = slice_of(free_name(history)), .is_old = is_old};
}

static void change_one(struct history *history) {
    struct catalog_column *column =
        &history->columns[random_below(&history->random, history->catalog.column_count)];
    if (column->is_dropped)
        return;
    column->is_old = false;
    if (random_below(&history->random, 3) == 0)
        *column = (struct catalog_column){.is_dropped = true};
    else
        column->name = slice_of(free_name(history));
}

static void define(const struct history *history, struct definition *definition) {
    *definition = (struct definition){0};
    for (uint32_t i = 0; i < history->catalog.column_count; i++) {
        if (history->columns[i].is_dropped)
            continue;
        const uint32_t place = definition->relation.column_count++;
        definition->columns[place] = (struct column){.name = history->columns[i].name};
        definition->numbers[place] = i + 1;
    }
}

/* The one answer that goes beyond proof: the definition's names are there now, in their order. */
static bool looks_as_now(const struct definition *definition, const struct history *history) {
    uint32_t place = 0;
    for (uint32_t i = 0; i < history->catalog.column_count && place < definition->relation.column_count; i++)
        place += !history->columns[i].is_dropped &&
                 slice_equal(history->columns[i].name, definition->columns[place].name);
    return place == definition->relation.column_count;
}

static uint32_t certain;

static void check(struct definition *definition, const struct history *history) {
    definition->relation.columns = definition->columns;
    definition->relation.catalog = &history->catalog;
    for (uint32_t index = 0; index < definition->relation.column_count; index++)
        for (uint32_t number = 1; number <= history->catalog.column_count + 1; number++) {
            const enum column_trace trace = column_trace(&definition->relation, index, number);
            const bool is = definition->numbers[index] == number;
            cr_assert(trace != COLUMN_IS_NOT || !is, "column %u is number %u", index, number);
            cr_assert(trace != COLUMN_IS || is || looks_as_now(definition, history),
                      "column %u is number %u, not %u", index, definition->numbers[index], number);
            certain += trace == COLUMN_IS && is;
        }
}

Test(column_trace, is_right_about_each_history) {
    struct random random = random_start("column_trace");
    for (int round = 0; round < HISTORIES; round++) {
        struct history history = {.random = random};
        struct definition definitions[STEPS_MAX + 1];
        history.catalog.columns = history.columns;
        for (uint32_t count = 1 + random_below(&history.random, 5); count > 0; count--)
            add_one(&history, random_below(&history.random, 4) != 0);
        define(&history, &definitions[0]);
        const uint32_t steps = random_below(&history.random, STEPS_MAX + 1);
        for (uint32_t step = 1; step <= steps; step++) {
            if (random_below(&history.random, 3) == 0)
                add_one(&history, false);
            else
                change_one(&history);
            define(&history, &definitions[step]);
        }
        for (uint32_t step = 0; step <= steps; step++)
            check(&definitions[step], &history);
        random = history.random;
    }
    cr_assert(certain > HISTORIES, "%u columns were certain", certain);
}

static enum column_trace trace_of(struct catalog_column *now, uint32_t now_count, const char *sent,
                                  uint32_t index, uint32_t number) {
    static char names[COLUMNS_MAX][2];
    struct catalog_table catalog = {.columns = now, .column_count = now_count};
    struct column columns[COLUMNS_MAX] = {0};
    struct relation relation = {.columns = columns, .catalog = &catalog};
    for (; sent[relation.column_count] != '\0'; relation.column_count++) {
        names[relation.column_count][0] = sent[relation.column_count];
        columns[relation.column_count].name = slice_of(names[relation.column_count]);
    }
    return column_trace(&relation, index, number);
}

#define OLD(LETTER) {.name = {.data = LETTER, .size = 1}, .is_old = true}
#define NEW(LETTER) {.name = {.data = LETTER, .size = 1}}
#define GONE {.is_dropped = true}

Test(column_trace, knows_names_that_were_exchanged) {
    struct catalog_column exchanged[] = {OLD("i"), NEW("b"), NEW("a")};
    cr_assert(trace_of(exchanged, 3, "iab", 1, 2) == COLUMN_IS);
    cr_assert(trace_of(exchanged, 3, "iba", 2, 2) == COLUMN_IS_NOT);
    struct catalog_column taken[] = {OLD("i"), NEW("x"), NEW("a"), OLD("c")};
    cr_assert(trace_of(taken, 4, "iabc", 1, 2) == COLUMN_IS);
    cr_assert(trace_of(taken, 4, "ixac", 2, 2) == COLUMN_IS_NOT);
    struct catalog_column anew[] = {OLD("i"), GONE, OLD("b"), NEW("a")};
    cr_assert(trace_of(anew, 4, "iab", 1, 2) == COLUMN_IS);
    cr_assert(trace_of(anew, 4, "iba", 2, 2) == COLUMN_IS_NOT);
    struct catalog_column untouched[] = {OLD("i"), OLD("a"), NEW("c"), GONE, NEW("e")};
    cr_assert(trace_of(untouched, 5, "iabd", 1, 2) == COLUMN_IS);
    struct catalog_column two[] = {NEW("i"), GONE, NEW("a"), NEW("c")};
    cr_assert(trace_of(two, 4, "iab", 1, 3) == COLUMN_MAY_BE);
}
