/* SPDX-License-Identifier: Apache-2.0 */
/*
 * column_trace.c - tries every number of columns that the table may have had when the definition was sent.
 *
 * If it had given the numbers up to n by then, a column up to n that exists now existed, and one that was
 * dropped may have existed, unless it is old. How many the definition has says how many of those there were.
 */
#include "sinks/mapping/column_trace.h"

/* How many of the numbers 1 to `to` exist now, and how many others may have existed. */
struct tally {
    uint32_t sure;
    uint32_t maybe;
};

static bool is_sure(const struct catalog_table *catalog, uint32_t number) {
    return !catalog->columns[number - 1].is_dropped;
}

static bool is_possible(const struct catalog_table *catalog, uint32_t number) {
    return is_sure(catalog, number) || !catalog->columns[number - 1].is_old;
}

static struct tally tally_to(const struct catalog_table *catalog, uint32_t to) {
    struct tally tally = {0};
    for (uint32_t number = 1; number <= to; number++) {
        tally.sure += is_sure(catalog, number);
        tally.maybe += !is_sure(catalog, number) && is_possible(catalog, number);
    }
    return tally;
}

/* No definition is of a time before this number was given. */
static uint32_t least_max(const struct catalog_table *catalog) {
    uint32_t max = 0;
    for (uint32_t number = 1; number <= catalog->column_count; number++)
        if (catalog->columns[number - 1].is_old)
            max = number;
    return max;
}

/* The possibilities seen so far. */
struct verdict {
    bool is;
    bool is_not;
};

/* All of the columns up to max that may have existed, or those alone that exist now. */
static void judge_one(const struct relation *relation, uint32_t max, bool with_dropped, uint32_t index,
                      uint32_t number, struct verdict *verdict) {
    const struct catalog_table *catalog = relation->catalog;
    uint32_t place = 0, found = 0;
    for (uint32_t n = 1; n <= max; n++) {
        const struct catalog_column *column = &catalog->columns[n - 1];
        if (!is_sure(catalog, n) && (!with_dropped || !is_possible(catalog, n)))
            continue;
        if (!column->is_dropped && column->is_old &&
            !slice_equal(column->name, relation->columns[place].name))
            return; /* its name has never been another one */
        if (place == index)
            found = n;
        place++;
    }
    verdict->is = verdict->is || found == number;
    verdict->is_not = verdict->is_not || found != number;
}

/* Some of those that may have existed, but it is not known which. */
static void judge_some(const struct relation *relation, uint32_t max, struct tally all, uint32_t index,
                       uint32_t number, struct verdict *verdict) {
    const uint32_t chosen = relation->column_count - all.sure;
    if (number > max || !is_sure(relation->catalog, number)) {
        *verdict = (struct verdict){true, true};
        return;
    }
    const struct tally below = tally_to(relation->catalog, number - 1);
    const uint32_t above = all.maybe - below.maybe;
    const uint32_t least = below.sure + (chosen > above ? chosen - above : 0);
    const uint32_t most = below.sure + (chosen < below.maybe ? chosen : below.maybe);
    verdict->is = verdict->is || (least <= index && index <= most);
    verdict->is_not = verdict->is_not || least != index || most != index;
}

static enum column_trace trace_histories(const struct relation *relation, uint32_t index, uint32_t number) {
    const struct catalog_table *catalog = relation->catalog;
    struct verdict verdict = {0};
    for (uint32_t max = least_max(catalog); max <= catalog->column_count; max++) {
        const struct tally all = tally_to(catalog, max);
        const uint32_t count = relation->column_count;
        if (count < all.sure || count > all.sure + all.maybe)
            continue;
        if (count == all.sure || count == all.sure + all.maybe)
            judge_one(relation, max, count != all.sure, index, number, &verdict);
        else
            judge_some(relation, max, all, index, number, &verdict);
    }
    if (verdict.is == verdict.is_not)
        return COLUMN_MAY_BE;
    return verdict.is ? COLUMN_IS : COLUMN_IS_NOT;
}

/* Each name of the definition is there now, in the same order. */
static bool follows_catalog(const struct relation *relation, uint32_t index, uint32_t number) {
    const struct catalog_table *catalog = relation->catalog;
    uint32_t place = 0, found = 0;
    for (uint32_t n = 1; n <= catalog->column_count && place < relation->column_count; n++) {
        if (catalog->columns[n - 1].is_dropped ||
            !slice_equal(catalog->columns[n - 1].name, relation->columns[place].name))
            continue;
        if (place == index)
            found = n;
        place++;
    }
    return place == relation->column_count && found == number;
}

static bool has_always_had(const struct catalog_table *catalog, uint32_t number, struct slice name) {
    const struct catalog_column *column = &catalog->columns[number - 1];
    return !column->is_dropped && column->is_old && slice_equal(column->name, name);
}

enum column_trace column_trace(const struct relation *relation, uint32_t index, uint32_t number) {
    const struct catalog_table *catalog = relation->catalog;
    if (number == 0 || number > catalog->column_count)
        return COLUMN_IS_NOT;
    if (has_always_had(catalog, number, relation->columns[index].name))
        return COLUMN_IS;
    const enum column_trace trace =
        catalog->sends_part ? COLUMN_MAY_BE : trace_histories(relation, index, number);
    return trace == COLUMN_MAY_BE && follows_catalog(relation, index, number) ? COLUMN_IS : trace;
}

uint32_t column_trace_number(const struct relation *relation, uint32_t index) {
    const struct catalog_table *catalog = relation->catalog;
    for (uint32_t number = 1; number <= catalog->column_count; number++)
        if (is_possible(catalog, number) && column_trace(relation, index, number) == COLUMN_IS)
            return number;
    return 0;
}
