/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_protobuf_c.c - the same bytes as record.c writes, the way a program usually makes them: objects of
 * the generated code for each change, then protobuf-c packs them. It is what proto/record.c is measured
 * against.
 *
 * What is the same for every row (names, types, the pointers to the columns) is made once, and no memory is
 * allocated but from an arena: it is as fast as it gets this way. It does not look whether a text is UTF-8,
 * which ours must.
 */
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "bench/micro/rows.h"
#include "cdc/base/epoch.h"
#include "proto/change.pb-c.h"
#include "proto/record.h"
#include "proto/value_text.h"

#define RECORD_BYTES_MAX ((size_t) 1 << 20)

enum { COLUMNS_MAX = 16 };

struct packing {
    struct rows rows;
    struct arena arena; /* of one change: texts with a NUL */
    struct buffer buffer;
    Pgcdc__V1__Change change;
    Pgcdc__V1__Column columns[COLUMNS_MAX];
    Pgcdc__V1__Column *pointers[COLUMNS_MAX];
};

static char *text_of(struct packing *packing, struct slice text) {
    char *copy = arena_copy(&packing->arena, text);
    micro_must(copy != NULL, &(struct error){.text = "no memory"});
    return copy;
}

static void set_value(struct packing *packing, const struct column *definition, const struct value *value,
                      Pgcdc__V1__Column *column) {
    const struct slice text = value_slice(value);
    bool is_valid = true;
    if (value->kind == VALUE_NULL) {
        column->value_case = PGCDC__V1__COLUMN__VALUE_NULL;
        column->null = true;
        return;
    }
    switch (definition->type_oid) {
    case 16:
        column->value_case = PGCDC__V1__COLUMN__VALUE_BOOLEAN;
        column->boolean = text.data[0] == 't';
        break;
    case 20:
    case 21:
    case 23:
        column->value_case = PGCDC__V1__COLUMN__VALUE_INTEGER;
        column->integer = strtoll(text_of(packing, text), NULL, 10);
        break;
    case 700:
        column->value_case = PGCDC__V1__COLUMN__VALUE_FLOAT4;
        is_valid = value_text_to_float4(text, &column->float4);
        break;
    case 701:
        column->value_case = PGCDC__V1__COLUMN__VALUE_FLOAT8;
        is_valid = value_text_to_float8(text, &column->float8);
        break;
    case 25:
    case 1042:
    case 1043:
        column->value_case = PGCDC__V1__COLUMN__VALUE_TEXT;
        column->text = text_of(packing, text);
        break;
    default:
        column->value_case = PGCDC__V1__COLUMN__VALUE_LITERAL;
        column->literal = text_of(packing, text);
    }
    micro_must(is_valid, &(struct error){.text = "no such number"});
}

/* To make one for each call would take longer than what is measured. */
static const struct error NO_MEMORY = {.text = "no memory"};

static void pack(struct packing *packing, const struct change *change) {
    const struct transaction *transaction = change->transaction;
    arena_reset(&packing->arena);
    packing->change.commit_lsn = transaction->commit_lsn;
    packing->change.index = change->index;
    packing->change.xid = transaction->xid;
    packing->change.commit_time_us = transaction->commit_time_us + POSTGRES_EPOCH_US;
    for (uint32_t i = 0; i < change->relation->column_count; i++)
        set_value(packing, &change->relation->columns[i], &change->new_values[i], &packing->columns[i]);
    const size_t size = protobuf_c_message_get_packed_size(&packing->change.base);
    buffer_reset(&packing->buffer);
    micro_must(buffer_reserve(&packing->buffer, size), &NO_MEMORY);
    packing->buffer.size = protobuf_c_message_pack(&packing->change.base, (uint8_t *) packing->buffer.data);
}

/* Otherwise nothing is compared. */
static void check_same_bytes(struct packing *packing, const struct change *change) {
    struct buffer ours;
    struct error err = {0};
    buffer_init(&ours, RECORD_BYTES_MAX);
    micro_must(record_write(change, 0, &ours, &err), &err);
    pack(packing, change);
    micro_must(slice_equal(buffer_slice(&ours), buffer_slice(&packing->buffer)),
               &(struct error){.text = "protobuf-c does not pack the same bytes"});
    buffer_release(&ours);
}

/* What is the same in every row; the names live as long as the rows. */
static void describe(struct packing *packing) {
    const struct relation *relation = packing->rows.relation;
    pgcdc__v1__change__init(&packing->change);
    packing->change.operation = PGCDC__V1__OPERATION__OPERATION_INSERT;
    packing->change.schema = arena_copy(&packing->rows.builder.arena, relation->schema);
    packing->change.table = arena_copy(&packing->rows.builder.arena, relation->name);
    packing->change.after = packing->pointers;
    packing->change.n_after = relation->column_count;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        Pgcdc__V1__Column *column = packing->pointers[i] = &packing->columns[i];
        pgcdc__v1__column__init(column);
        column->name = arena_copy(&packing->rows.builder.arena, relation->columns[i].name);
        column->type = arena_copy(&packing->rows.builder.arena, relation->columns[i].type_name);
        column->key = relation->columns[i].is_key;
    }
}

static void *open_with(void (*fill)(struct rows *rows)) {
    struct packing *packing = micro_alloc(sizeof *packing);
    fill(&packing->rows);
    arena_init(&packing->arena, 64 * 1024, 1024 * 1024);
    buffer_init(&packing->buffer, RECORD_BYTES_MAX);
    describe(packing);
    for (uint32_t i = 1; i <= ROWS; i++)
        check_same_bytes(packing, &packing->rows.builder.changes[i]);
    return packing;
}

static void *open_insert_narrow(void) {
    return open_with(rows_insert_narrow);
}

static void *open_insert_wide(void) {
    return open_with(rows_insert_wide);
}

static void packing_pass(void *opened) {
    struct packing *packing = opened;
    for (uint32_t i = 1; i <= ROWS; i++)
        pack(packing, &packing->rows.builder.changes[i]);
}

static void packing_close(void *opened) {
    struct packing *packing = opened;
    rows_release(&packing->rows);
    arena_release(&packing->arena);
    buffer_release(&packing->buffer);
    free(packing);
}

const struct micro MICRO_RECORD_PROTOBUF_C[] = {
    {"protobuf_c_insert_narrow", ROWS, open_insert_narrow, packing_pass, packing_close},
    {"protobuf_c_insert_wide", ROWS, open_insert_wide, packing_pass, packing_close},
    {0}};
