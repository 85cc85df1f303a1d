/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decode.c - pgoutput's messages of one transaction into changes, as cdc/readers/slot/slot_reader.c has them
 * decoded.
 */
#include <stdlib.h>

#include "bench/micro/micro.h"
#include "bench/micro/rows.h"
#include "decoder/decoder.h"
#include "tests/support/pgoutput.h"

struct decode {
    struct decoder *decoder;
    struct arena arena; /* of the batch */
    struct pgoutput out;
    size_t first; /* the message that begins the transaction: the one before it is the relation's */
};

static void decode_messages(struct decode *decode, size_t first) {
    struct error err = {0};
    struct change *change;
    for (size_t i = first; i < decode->out.message_count; i++)
        micro_must(decoder_decode(decode->decoder, 0x1000000, decode->out.messages[i], &decode->arena,
                                  &change, &err),
                   &err);
}

static void put_message(struct pgoutput *out, const struct change *change) {
    const struct relation *relation = change->relation;
    const struct tuple row = {change->new_values, change_is_row(change) ? relation->column_count : 0};
    switch (change->kind) {
    case CHANGE_BEGIN:
        pgoutput_begin(out, change->transaction);
        return;
    case CHANGE_COMMIT:
        pgoutput_commit(out, change->transaction, change->end_lsn);
        return;
    case CHANGE_INSERT:
        pgoutput_insert(out, relation->oid, row);
        return;
    case CHANGE_UPDATE:
        pgoutput_update(out, relation->oid, OLD_NONE, NO_TUPLE, row);
        return;
    case CHANGE_DELETE:
        pgoutput_delete(out, relation->oid, OLD_KEY,
                        (struct tuple){change->old_values, relation->column_count});
        return;
    default:
        abort();
    }
}

static void *open_with(void (*fill)(struct rows *rows)) {
    struct decode *decode = micro_alloc(sizeof *decode);
    struct rows rows;
    fill(&rows);
    decode->decoder = decoder_new();
    micro_must(decode->decoder != NULL, &(struct error){.text = "no memory"});
    arena_init(&decode->arena, 64 * 1024, 64 * 1024 * 1024);
    pgoutput_init(&decode->out);
    put_message(&decode->out, &rows.builder.changes[0]);
    pgoutput_relation(&decode->out, rows.relation);
    put_message(&decode->out, &rows.builder.changes[rows.builder.count - 1]);
    decode->first = decode->out.message_count;
    decode_messages(decode, 0);
    for (size_t i = 0; i < rows.builder.count; i++)
        put_message(&decode->out, &rows.builder.changes[i]);
    rows_release(&rows);
    return decode;
}

static void *open_insert_narrow(void) {
    return open_with(rows_insert_narrow);
}

static void *open_insert_wide(void) {
    return open_with(rows_insert_wide);
}

static void *open_update_unchanged(void) {
    return open_with(rows_update_unchanged);
}

static void *open_delete(void) {
    return open_with(rows_delete);
}

static void decode_pass(void *state) {
    struct decode *decode = state;
    arena_reset(&decode->arena);
    decode_messages(decode, decode->first);
}

static void decode_close(void *state) {
    struct decode *decode = state;
    decoder_free(decode->decoder);
    arena_release(&decode->arena);
    pgoutput_release(&decode->out);
    free(decode);
}

const struct micro MICRO_DECODE[] = {
    {"decode_insert_narrow", ROWS, open_insert_narrow, decode_pass, decode_close},
    {"decode_insert_wide", ROWS, open_insert_wide, decode_pass, decode_close},
    {"decode_update_unchanged", ROWS, open_update_unchanged, decode_pass, decode_close},
    {"decode_delete", ROWS, open_delete, decode_pass, decode_close},
    {0}};
