/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definition.c - definitions of tables and types, which pgoutput sends before their first row.
 *
 *     Relation = 'R' oid:u32 schema:string name:string identity:u8 column_count:u16 Column*
 *     Column   = flags:u8 name:string type_oid:u32 type_modifier:i32
 *     Type     = 'Y' oid:u32 schema:string name:string
 */
#include <stdlib.h>

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

static int compare_oids(const void *oid, const void *key) {
    const oid_t a = *(const oid_t *) oid, b = ((const struct table_key *) key)->oid;
    return (a > b) - (a < b);
}

static const struct table_key *find_table_key(const struct table_keys *keys, oid_t oid) {
    return keys->count == 0 ? NULL : bsearch(&oid, keys->keys, keys->count, sizeof *keys->keys, compare_oids);
}

static bool is_among(const struct table_key *key, uint32_t count, struct slice name) {
    for (uint32_t i = 0; i < count; i++)
        if (slice_equal(key->columns[i], name))
            return true;
    return false;
}

/*
 * A table that exists was created by a transaction that ended, or by this one. The xids of this one's
 * subtransactions come after its own.
 */
static bool is_certain(const struct decoder *decoder, const struct table_key *key, enum key_age age) {
    return age == KEY_OLD || (age == KEY_ORIGINAL && decoder->in_transaction &&
                              (int32_t) (key->created_by - decoder->transaction.xid) < 0);
}

static const struct key_index *index_of(const struct table_key *key, enum replica_identity identity) {
    return identity == REPLICA_IDENTITY_INDEX ? &key->index : &key->primary;
}

/* Was the key that the catalog has now in force when the definition was sent, and does it hide a column? */
static bool hides_column(const struct decoder *decoder, const struct table_key *key,
                         const struct relation *relation) {
    bool same = key->column_count > 0 && key->identity == relation->identity &&
                is_certain(decoder, key, index_of(key, key->identity)->age) &&
                is_certain(decoder, key, key->columns_age) && key->sent_count == relation->key_count;
    for (uint32_t i = 0; same && i < relation->column_count; i++)
        same = !relation->columns[i].is_key || is_among(key, key->sent_count, relation->columns[i].name);
    return same;
}

/* Replaces the key by the columns that determine it, when all of them are sent. */
static void take_determining(const struct table_key *key, struct relation *relation) {
    relation->is_unclear = true;
    relation->key_count = 0;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        relation->columns[i].is_key = is_among(key, key->column_count, relation->columns[i].name);
        relation->key_count += relation->columns[i].is_key;
    }
    relation->needs_old = relation->key_count == 0 || relation->key_count < key->column_count;
}

/*
 * The catalog is of now, the definition of then. An index has the same columns as long as it lives. So the
 * key is whole if its index is older than the definition and has as many columns, or if the table can have
 * had no column that is not sent.
 */
static void judge_key(const struct decoder *decoder, struct relation *relation) {
    if (!decoder->table_keys.is_needed ||
        (relation->identity != REPLICA_IDENTITY_DEFAULT && relation->identity != REPLICA_IDENTITY_INDEX))
        return;
    const struct table_key *key = find_table_key(&decoder->table_keys, relation->oid);
    if (key == NULL) { /* the table was dropped since, or its creation is not visible yet */
        relation->certainty = KEY_LIKELY;
        return;
    }
    const struct key_index *index = index_of(key, relation->identity);
    const bool has_all = index->column_count == relation->key_count;
    if (!key->is_locked && (!key->may_hide || key->columns_max == relation->column_count ||
                            (has_all && (relation->key_count == 0 || is_certain(decoder, key, index->age)))))
        return;
    if (!key->is_locked && hides_column(decoder, key, relation))
        take_determining(key, relation);
    else if (!key->may_hide || (has_all && index->sent_count == index->column_count))
        relation->certainty = KEY_LIKELY;
    else
        relation->certainty = KEY_DOUBTFUL;
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
    relation.catalog = catalog_tables_find(&d->decoder->catalog, relation.oid);
    judge_key(d->decoder, &relation);
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
