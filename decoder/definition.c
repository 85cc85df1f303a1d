/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition.c - definitions of tables and types, which pgoutput sends before their first row.
 *
 *     Relation = 'R' oid:u32 schema:string name:string identity:u8 column_count:u16 Column*
 *     Column   = flags:u8 name:string type_oid:u32 type_modifier:i32
 *     Type     = 'Y' oid:u32 schema:string name:string
 */
#include "decoder/decoding.h"

enum { COLUMN_IS_KEY = 1 };

static bool identity_is_known(uint8_t identity) {
    return identity == REPLICA_IDENTITY_DEFAULT || identity == REPLICA_IDENTITY_NOTHING ||
           identity == REPLICA_IDENTITY_FULL || identity == REPLICA_IDENTITY_INDEX;
}

/* False when the column's flags are unknown; missing bytes make the cursor fail. */
static bool take_column(struct cursor *cursor, struct column *column) {
    uint8_t flags = cursor_u8(cursor);
    column->is_key = flags == COLUMN_IS_KEY;
    column->name = cursor_string(cursor);
    column->type_oid = cursor_u32(cursor);
    column->type_modifier = (int32_t) cursor_u32(cursor);
    return flags == 0 || flags == COLUMN_IS_KEY;
}

static bool take_columns(struct decoding *d, struct relation *relation) {
    relation->columns = d->decoder->columns;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        if (!take_column(&d->cursor, &relation->columns[i]))
            return decoding_malformed(d);
        relation->key_count += relation->columns[i].is_key;
    }
    return decoding_finish(d);
}

static const struct unsent_key *find_unsent_key(const struct decoder *decoder,
                                                const struct relation *relation) {
    for (size_t i = 0; i < decoder->unsent_keys.count; i++)
        if (decoder->unsent_keys.keys[i].oid == relation->oid)
            return &decoder->unsent_keys.keys[i];
    return NULL;
}

static bool is_among(const struct unsent_key *key, uint32_t count, struct slice name) {
    for (uint32_t i = 0; i < count; i++)
        if (slice_equal(key->columns[i], name))
            return true;
    return false;
}

/* The catalog is today's: was the key the same when the change was made? */
static bool is_of_now(const struct unsent_key *key, const struct relation *relation) {
    bool same = relation->key_count == key->sent_count;
    for (uint32_t i = 0; same && i < relation->column_count; i++)
        same = !relation->columns[i].is_key || is_among(key, key->sent_count, relation->columns[i].name);
    return same;
}

/* Replaces the key by the columns that determine it, when all of them are sent. */
static void take_unsent_key(const struct decoder *decoder, struct relation *relation) {
    const struct unsent_key *key = find_unsent_key(decoder, relation);
    if (key == NULL || relation->identity == REPLICA_IDENTITY_FULL)
        return;
    const bool known = is_of_now(key, relation);
    relation->is_unclear = true;
    relation->key_count = 0;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        relation->columns[i].is_key = is_among(key, key->column_count, relation->columns[i].name);
        relation->key_count += relation->columns[i].is_key;
    }
    relation->needs_old = !known || relation->key_count == 0 || relation->key_count < key->column_count;
}

bool decode_relation(struct decoding *d) {
    struct relation relation = {0};
    relation.oid = cursor_u32(&d->cursor);
    relation.schema = decoding_take_schema(d);
    relation.name = cursor_string(&d->cursor);
    uint8_t identity = cursor_u8(&d->cursor);
    relation.column_count = cursor_u16(&d->cursor);
    if (d->cursor.failed || !identity_is_known(identity) || relation.column_count > RELATION_COLUMNS_MAX)
        return decoding_malformed(d);
    relation.identity = identity;
    if (!take_columns(d, &relation))
        return false;
    relation.needs_old = relation.key_count == 0;
    take_unsent_key(d->decoder, &relation);
    d->decoder->last_relation = NULL;
    d->decoder->announced[0] = d->decoder->announced[1];
    d->decoder->announced[1] = relation.oid;
    const struct relation *in_force = NULL;
    return relation_cache_put(d->decoder->relations, &relation, &in_force, d->err);
}

bool decode_type(struct decoding *d) {
    struct type_name type = {0};
    type.oid = cursor_u32(&d->cursor);
    type.schema = decoding_take_schema(d);
    type.name = cursor_string(&d->cursor);
    return decoding_finish(d) && relation_cache_put_type(d->decoder->relations, &type, d->err) &&
           relation_cache_put_type(d->decoder->trees.relations, &type, d->err);
}
