/* SPDX-License-Identifier: Apache-2.0 */
/*
 * decoder.c - passes a message to the file for its first letter.
 *
 *     transaction.c  Begin Commit Origin Message
 *     definition.c   Relation Type             -> relation_cache.c
 *     row.c          Insert Update Delete Truncate
 *     refusal.c      streamed and two-phase transactions, and what is no message at all
 */
#include "decoder/decoder.h"

#include <assert.h>
#include <stdlib.h>

#include "decoder/decoding.h"

struct decoder *decoder_new(void) {
    struct decoder *decoder = calloc(1, sizeof *decoder);
    if (decoder == NULL)
        return NULL;
    decoder->relations = relation_cache_new();
    if (decoder->relations == NULL || !partition_trees_init(&decoder->trees)) {
        decoder_free(decoder);
        return NULL;
    }
    return decoder;
}

void decoder_free(struct decoder *decoder) {
    if (decoder == NULL)
        return;
    partition_trees_release(&decoder->trees);
    relation_cache_free(decoder->relations);
    free(decoder);
}

static bool decode_by_letter(struct decoding *d) {
    switch (d->letter) {
    case 'B':
        return decode_begin(d);
    case 'C':
        return decode_commit(d);
    case 'D':
        return decode_delete(d);
    case 'I':
        return decode_insert(d);
    case 'M':
        return decode_logical_message(d);
    case 'O':
        return decode_origin(d);
    case 'R':
        return decode_relation(d);
    case 'T':
        return decode_truncate(d);
    case 'U':
        return decode_update(d);
    case 'Y':
        return decode_type(d);
    default:
        return decode_refused(d);
    }
}

bool decoder_decode(struct decoder *decoder, lsn_t lsn, struct slice message, struct arena *arena,
                    struct change **ret_change, struct error *err) {
    struct decoding d = {
        .decoder = decoder, .cursor = cursor_over(message), .arena = arena, .lsn = lsn, .err = err};
    d.letter = (char) cursor_u8(&d.cursor);
    if (!decode_by_letter(&d))
        return false;
    *ret_change = d.change;
    return true;
}

void decoder_set_table_keys(struct decoder *decoder, struct table_keys keys) {
    decoder->table_keys = keys;
}

void decoder_set_catalog(struct decoder *decoder, struct catalog_tables tables) {
    decoder->catalog = tables;
}

bool decoder_in_transaction(const struct decoder *decoder) {
    return decoder->in_transaction;
}

xid_t decoder_xid(const struct decoder *decoder) {
    return decoder->in_transaction ? decoder->transaction.xid : 0;
}

const struct relation *decoder_announced(const struct decoder *decoder) {
    const oid_t last = decoder->announced[1];
    return last != 0 ? relation_cache_find(decoder->relations, last) : NULL;
}

const struct type_name *decoder_find_type(const struct decoder *decoder, oid_t oid) {
    return relation_cache_find_type(decoder->relations, oid);
}
