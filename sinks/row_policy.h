/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_policy.h - which row a table of the sink keeps, where several rows of the sources want one place.
 *
 * Such a table has a table of candidates beside it, with each row of each source: the mapping writes that,
 * and the sink settles from it what the table itself has. Any thread.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum clash_order {
    CLASH_STOPS,       /* two sources must not have a row with one key */
    CLASH_FIRST,       /* who has the place keeps it until the row is deleted */
    CLASH_LAST_COMMIT, /* the row that was written by the latest transaction */
    CLASH_BY_SOURCE,   /* the row of the source that comes first in the list */
    CLASH_ORDERS,
};

struct row_policy {
    enum clash_order on_clash;
    const char *source;         /* the name of the rule's table among sources; NULL: schema.table */
    const char *const *sources; /* of CLASH_BY_SOURCE, the best one first */
    size_t source_count;
    const char *const *by; /* expressions over the sink's columns: rows in which all are equal are one */
    size_t by_count;
    bool keeps_last; /* of such rows the one that was written last; else the one that has the place */
};

/* Before the name of the table: its candidates, and the function that settles them. */
#define CANDIDATES_PREFIX "_pgcdc_"

/* The longest name of a table with candidates: an index of theirs is called _pgcdc_by_TABLE. */
enum { SETTLED_NAME_MAX = 53 };

/* "first_wins", as in the file. */
const char *clash_order_word(enum clash_order order);

/* Does the outcome depend on the order of changes, and not only on the candidates that are there? */
bool row_policy_is_ordered(const struct row_policy *policy);
