/* SPDX-License-Identifier: Apache-2.0 */
/*
 * net_effect.h - what a span of changes does, all in all, to each row it touches.
 *
 * Tables are taken apart and, in each, rows by their key: an insert and an update become one insert, an
 * insert and a delete nothing, two updates one, where what the later one left unchanged keeps the earlier
 * one's value. What cannot be told that way is left to be applied row by row, table by table: changed keys,
 * one column in two formats, columns that cannot be unnested, and whatever contradicts itself (the row path
 * then says what is wrong).
 *
 * Without a key a row is what is in it. A change of a row that an earlier change left like this goes on from
 * there; otherwise the row was like this before the span. Among rows that are alike any will do, so each of
 * them counts which it is.
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
    EFFECT_REPLACE, /* deleted and inserted: not an update, columns that only the target has start anew */
};

/* Updates of one table that write the same columns. */
struct update_group {
    struct update_group *next;
    struct column_set written;
    bool is_partial; /* of a table without a key: some write fewer */
    uint32_t first;
    uint32_t last;
    uint32_t count;
};

/* Of an effect on a row without a key that is updated or deleted. */
struct image_place {
    uint32_t image; /* the same for rows that were alike and have the same kind of effect */
    uint32_t rank;  /* the how many-th of these, from 1 on */
    uint32_t count; /* of the first: so many there are */
};

struct table_effect {
    struct table_effect *next;
    struct target_table *table;
    bool by_rows;
    bool by_images; /* its rows have no key */
    bool has_inserts;
    uint32_t other_count; /* updates and deletes */
    uint8_t *formats;     /* of each column: FORMAT_TEXT and FORMAT_BINARY bits of the values seen */
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
    bool shows_conflicts; /* a row that came and went again goes row by row: it may have been there before */
    struct effect_index index;  /* the effects of rows that have a key */
    struct image_index images;  /* and of those that have none */
    struct image_place *places; /* of each effect; NULL when all tables have keys */
};

void net_effect_init(struct net_effect *net);
void net_effect_release(struct net_effect *net);

/* The last span, and with it the tables that it was of. */
void net_effect_forget(struct net_effect *net);

/*
 * Takes the span apart. Every change of it is a row or nothing, no two definitions of one table are in it.
 * The result points into the span's changes; table->effect of each table is its part.
 */
MUST_CHECK bool net_effect_build(struct net_effect *net, const struct span *span, struct error *err);

enum effect_kind effect_kind_of(const struct effect *effect);
