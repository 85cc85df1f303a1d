/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_effect.h - the total effect of a span of changes on each row.
 *
 * Changes are grouped by table and, in each table, by key. An insert and an update become one insert; an
 * insert and a delete become nothing; two updates become one, in which a value that the later one left
 * unchanged keeps the earlier one's value. Tables where this is not possible are applied row by row: changed
 * keys, one column in two formats, columns that cannot be unnested, and changes that contradict each other
 * (the row path then reports the fault).
 *
 * Without a key, a row is identified by its values. If an earlier change of the span produced a row with
 * these values, the change continues that effect; otherwise the row existed before the span. Identical rows
 * are interchangeable, so each one only has an ordinal among them.
 */
#pragma once

#include "sinks/postgres/apply/effect_index.h"
#include "sinks/postgres/apply/image_index.h"
#include "sinks/postgres/apply/span.h"
#include "sinks/postgres/catalog/column_set.h"
#include "sinks/postgres/catalog/target_table.h"

enum effect_kind {
    EFFECT_NOTHING, /* inserted and deleted again */
    EFFECT_INSERT,
    EFFECT_UPDATE,
    EFFECT_DELETE,
    EFFECT_REPLACE, /* deleted and inserted: columns that only the target has get their defaults */
};

/* Updates of one table that write the same columns. */
struct update_group {
    struct update_group *next;
    struct column_set written;
    struct column_set unsent; /* of a table without a key: some row's value was not sent and stays as it is */
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

/* For an effect that updates or deletes a row without a key. */
struct image_place {
    uint32_t image; /* equal for rows that were identical and have the same kind of effect */
    uint32_t rank;  /* its ordinal among them, from 1 */
    uint32_t count; /* in the first of them: how many there are */
};

struct table_effect {
    struct table_effect *next;
    struct target_table *table;
    bool by_rows;
    bool by_images; /* its rows have no key */
    bool has_inserts;
    uint32_t other_count; /* updates and deletes */
    uint8_t *formats;     /* of each column: the FORMAT_TEXT and FORMAT_BINARY bits of its values */
    uint32_t first;
    uint32_t last;
    uint32_t insert_count; /* of EFFECT_INSERT and EFFECT_REPLACE */
    uint32_t delete_count; /* of EFFECT_DELETE and EFFECT_REPLACE */
    uint32_t group_count;
    struct update_group *groups;
};

enum { FORMAT_TEXT = 1, FORMAT_BINARY = 2, FORMAT_MIXED = 3 };

struct net_effect {
    struct arena arena;          /* of one span */
    struct table_effect *tables; /* in order of first touch */
    struct table_effect *last_table;
    struct effect *effects;
    uint32_t effect_count;
    uint32_t effect_capacity;
    bool shows_conflicts;       /* an inserted and deleted row goes row by row: it may have existed before */
    struct effect_index index;  /* the effects of rows that have a key */
    struct image_index images;  /* the effects of rows that have none */
    struct image_place *places; /* of each effect; NULL when all tables have keys */
};

void net_effect_init(struct net_effect *net);
void net_effect_release(struct net_effect *net);

/* Forgets the last span and its tables. */
void net_effect_forget(struct net_effect *net);

/*
 * Computes the net effect. Every change of the span is a row change or nothing, and no table has two
 * definitions in it. The result points into the span's changes; table->effect of each table is its part.
 */
MUST_CHECK bool net_effect_build(struct net_effect *net, const struct span *span, struct error *err);

static inline enum effect_kind effect_kind_of(const struct effect *effect) {
    if (!effect->existed)
        return effect->values != NULL ? EFFECT_INSERT : EFFECT_NOTHING;
    if (effect->values == NULL)
        return EFFECT_DELETE;
    return effect->was_deleted ? EFFECT_REPLACE : EFFECT_UPDATE;
}
