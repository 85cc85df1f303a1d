/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rows.c - see rows.h.
 */
#include "bench/micro/rows.h"

#include <inttypes.h>
#include <stdio.h>

#include "tests/support/random.h"

#define NARROW_COLUMNS "id int8 key, amount int4, label text, at timestamptz"
/* OIDs: float4 700, bpchar 1042, varchar 1043, date 1082, timestamp 1114. */
#define WIDE_COLUMNS                                                                                         \
    "id int8 key, customer int4, quantity int2, price numeric, weight float8, ratio 700, paid bool, "        \
    "ordered_on 1082, created_at timestamptz, updated_at 1114, token uuid, country 1042, title 1043, "       \
    "note text, attributes jsonb"
#define DOCUMENT_COLUMNS "id int8 key, state text, changed_at timestamptz, body text"

enum { TEXT_MAX = 128 };

struct texts {
    struct random random;
    char id[TEXT_MAX], amount[TEXT_MAX], label[TEXT_MAX], at[TEXT_MAX], price[TEXT_MAX], weight[TEXT_MAX],
        token[TEXT_MAX], attributes[TEXT_MAX];
};

static uint32_t below(struct texts *texts, uint32_t limit) {
    return random_below(&texts->random, limit);
}

static uint64_t any(struct texts *texts) {
    return random_next(&texts->random);
}

/* The texts of the next row. */
static void next(struct texts *texts, uint32_t row) {
    snprintf(texts->id, TEXT_MAX, "%u", 1000000 + row);
    snprintf(texts->amount, TEXT_MAX, "%u", below(texts, 1000000));
    snprintf(texts->label, TEXT_MAX, "%016" PRIx64 "%016" PRIx64, any(texts), any(texts));
    snprintf(texts->at, TEXT_MAX, "2026-11-22 12:%02u:%02u.%06u+00", below(texts, 60), below(texts, 60),
             below(texts, 1000000));
    snprintf(texts->price, TEXT_MAX, "%u.%02u", below(texts, 10000), below(texts, 100));
    snprintf(texts->weight, TEXT_MAX, "%u.%u", below(texts, 50), below(texts, 1000000000));
    snprintf(texts->token, TEXT_MAX, "%08x-1234-4567-89ab-%012" PRIx64, below(texts, UINT32_MAX),
             any(texts) >> 16);
    snprintf(texts->attributes, TEXT_MAX,
             "{\"gift\": false, \"score\": 0.%u, \"channel\": \"%016" PRIx64 "\"}", below(texts, 1000000),
             any(texts));
}

static void start(struct rows *rows, const char *table, const char *columns) {
    change_builder_init(&rows->builder);
    rows->relation = change_builder_relation(&rows->builder, table, REPLICA_IDENTITY_DEFAULT, columns);
    change_builder_begin(&rows->builder);
}

void rows_insert_narrow(struct rows *rows) {
    struct texts texts = {.random = {1}};
    start(rows, "narrow", NARROW_COLUMNS);
    for (uint32_t i = 0; i < ROWS; i++) {
        next(&texts, i);
        change_builder_insert(&rows->builder, rows->relation,
                              ROW(texts.id, texts.amount, texts.label, texts.at));
    }
    change_builder_commit(&rows->builder);
}

void rows_insert_wide(struct rows *rows) {
    struct texts texts = {.random = {2}};
    start(rows, "wide", WIDE_COLUMNS);
    for (uint32_t i = 0; i < ROWS; i++) {
        next(&texts, i);
        change_builder_insert(&rows->builder, rows->relation,
                              ROW(texts.id, texts.amount, "42", texts.price, texts.weight, "0.5",
                                  i % 10 ? "t" : "f", "2026-11-22", texts.at,
                                  i % 2 ? "2026-11-22 12:00:00.123456" : NULL, texts.token, "DE", texts.label,
                                  i % 3 ? texts.attributes : NULL, texts.attributes));
    }
    change_builder_commit(&rows->builder);
}

void rows_update_unchanged(struct rows *rows) {
    struct texts texts = {.random = {3}};
    start(rows, "documents", DOCUMENT_COLUMNS);
    for (uint32_t i = 0; i < ROWS; i++) {
        next(&texts, i);
        change_builder_update(&rows->builder, rows->relation, NULL,
                              ROW(texts.id, texts.label, texts.at, UNCHANGED_TEXT));
    }
    change_builder_commit(&rows->builder);
}

void rows_delete(struct rows *rows) {
    struct texts texts = {.random = {4}};
    start(rows, "narrow", NARROW_COLUMNS);
    for (uint32_t i = 0; i < ROWS; i++) {
        next(&texts, i);
        change_builder_delete(&rows->builder, rows->relation, ROW(texts.id, NULL, NULL, NULL));
    }
    change_builder_commit(&rows->builder);
}

void rows_release(struct rows *rows) {
    change_builder_release(&rows->builder);
}
