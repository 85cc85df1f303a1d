/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row.c - what happened to rows. The hot path: one array of values a tuple, pointing into the message.
 *
 *     Insert   = 'I' oid:u32 'N' Tuple
 *     Update   = 'U' oid:u32 [('K' | 'O') Tuple] 'N' Tuple
 *     Delete   = 'D' oid:u32 ('K' | 'O') Tuple
 *     Truncate = 'T' relation_count:u32 flags:u8 oid:u32*
 *     Tuple    = value_count:u16 Value*
 *     Value    = 'n' | 'u' | ('t' | 'b') size:u32 bytes
 */
#include "cdc/base/amount.h"
#include "decoder/decoder.h"
#include "decoder/decoding.h"

/* The definitions that were sent for this row: its own, or its root's and then its leaf's. */
static bool take_announced(struct decoding *d, const struct relation *relation) {
    struct decoder *decoder = d->decoder;
    const oid_t before = decoder->announced[0], last = decoder->announced[1];
    decoder->announced[0] = decoder->announced[1] = 0;
    if (last == 0 || relation == NULL)
        return true;
    if (last == relation->oid || before != relation->oid)
        return partition_trees_define(&decoder->trees, relation, d->err);
    return partition_trees_announce(&decoder->trees, relation, relation_cache_find(decoder->relations, last),
                                    d->err);
}

NOT_INLINE static const struct relation *look_up_relation(struct decoding *d, oid_t oid) {
    const struct relation *relation = relation_cache_find(d->decoder->relations, oid);
    if (!take_announced(d, relation))
        return NULL;
    const struct relation *settled = partition_trees_find(&d->decoder->trees, oid);
    if (settled != NULL)
        relation = settled;
    if (relation == NULL) {
        error_set(d->err, ERROR_PROTOCOL,
                  "a change of relation %u at %s, which no Relation message described", oid,
                  lsn_format(d->lsn).text);
        return NULL;
    }
    d->decoder->last_relation = relation;
    return relation;
}

static inline const struct relation *find_relation(struct decoding *d, oid_t oid) {
    const struct relation *last = d->decoder->last_relation;
    return last != NULL && last->oid == oid ? last : look_up_relation(d, oid);
}

/* Allocates the change and reads the start that all row messages share; NULL, and *err, when that fails. */
static struct change *add_row(struct decoding *d, enum change_kind kind) {
    oid_t oid = cursor_u32(&d->cursor);
    if (d->cursor.failed) {
        decoding_malformed(d);
        return NULL;
    }
    if (!decoding_expect_transaction(d))
        return NULL;
    const struct relation *relation = find_relation(d, oid);
    if (relation == NULL)
        return NULL;
    struct change *change = decoding_add_change(d, kind);
    if (change != NULL)
        change->relation = relation;
    return change;
}

/* False for an unknown letter; missing bytes make the cursor fail. */
static inline bool take_value(struct cursor *cursor, struct value *value, bool *has_unchanged) {
    uint8_t kind = cursor_u8(cursor);
    *value = (struct value){.kind = kind};
    switch (kind) {
    case VALUE_UNCHANGED:
        *has_unchanged = true;
        return true;
    case VALUE_NULL:
        return true;
    case VALUE_TEXT:
    case VALUE_BINARY:
        value->size = cursor_u32(cursor);
        value->data = cursor_bytes(cursor, value->size).data;
        return true;
    default:
        return false;
    }
}

static bool wrong_count(struct decoding *d, const struct relation *relation, uint32_t count) {
    return error_set(d->err, ERROR_PROTOCOL, "a tuple of %s at %s for relation %s.%s of %s",
                     amount_count(count, "value").text, lsn_format(d->lsn).text, relation->schema.data,
                     relation->name.data, amount_count(relation->column_count, "column").text);
}

/* The relation's number of values, or NULL and *err. Sets *has_unchanged when a value was left out. */
static struct value *take_tuple(struct decoding *d, const struct relation *relation, bool *has_unchanged) {
    uint32_t count = cursor_u16(&d->cursor);
    if (d->cursor.failed || count > cursor_left(&d->cursor)) {
        decoding_malformed(d);
        return NULL;
    }
    if (count != relation->column_count) {
        wrong_count(d, relation, count);
        return NULL;
    }
    struct value *values = arena_alloc(d->arena, count * sizeof *values);
    if (values == NULL) {
        error_no_memory(d->err);
        return NULL;
    }
    for (uint32_t i = 0; i < count; i++) {
        if (!take_value(&d->cursor, &values[i], has_unchanged)) {
            decoding_malformed(d);
            return NULL;
        }
    }
    return values;
}

/* The index of the first value that was not sent, in a tuple that has one. */
static uint32_t find_unsent(const struct value *values) {
    uint32_t i = 0;
    while (values[i].kind != VALUE_UNCHANGED)
        i++;
    return i;
}

/* Only a new tuple may leave values out: those of an old tuple would be unknown. */
static bool unchanged_from_nothing(struct decoding *d, const struct change *change) {
    const struct relation *relation = change->relation;
    return error_set(d->err, ERROR_PROTOCOL, "column %s of relation %s.%s at %s is unchanged from nothing",
                     relation->columns[find_unsent(change->old_values)].name.data, relation->schema.data,
                     relation->name.data, lsn_format(d->lsn).text);
}

/*
 * An update that makes a row enter the publication's row filter is sent as an INSERT. Without identity full
 * the server does not send the large values that the update left alone.
 */
bool change_refuse_partial(const struct change *change, struct error *err) {
    const struct relation *relation = change->relation;
    const uint32_t i = find_unsent(change->new_values);
    error_set(
        err, ERROR_DATA,
        "source: an update made a row of table \"%s\".\"%s\" enter the publication's row filter at %s, and "
        "the server did not send its large value of column \"%s\"",
        relation->schema.data, relation->name.data, lsn_format(change->lsn).text,
        relation->columns[i].name.data);
    return error_remedy(
        err,
        "alter table \"%s\".\"%s\" replica identity full there, which helps later changes only; "
        "this one still waits and needs a new copy: pgcdc drop, empty the target's tables, pgcdc "
        "run",
        relation->schema.data, relation->name.data);
}

static bool refuse_unknown(const struct relation *relation, lsn_t lsn, const char *reason,
                           struct error *err) {
    error_set(err, ERROR_DATA, "source: a change of table \"%s\".\"%s\" at %s does not identify its row: %s",
              relation->schema.data, relation->name.data, lsn_format(lsn).text, reason);
    return change_remedy_unknown(relation, err);
}

/* A change at the source now does not change the WAL of then. */
bool change_remedy_unknown(const struct relation *relation, struct error *err) {
    return error_remedy(
        err,
        "%s at the source (pgcdc check prints the statements), which helps later changes only; this "
        "one still waits and needs a new copy: pgcdc drop, empty the target's tables, pgcdc run",
        relation->is_tree ? "give every partition replica identity full"
                          : "give the table replica identity full");
}

bool change_refuse_doubtful(const struct change *change, struct error *err) {
    return refuse_unknown(change->relation, change->lsn,
                          "the table's key had or may have had a generated column, which is not sent", err);
}

/* Refuses to guess the row. */
static bool unknown_row(struct decoding *d, const struct relation *relation) {
    return refuse_unknown(relation, d->lsn,
                          relation->is_tree ? "its partitions did not log the key, or not the same one"
                                            : "a column of its replica identity is not sent",
                          d->err);
}

/*
 * A root's letter is the root's own, but the tuple contains what the leaf logged. Key columns are never null,
 * so a null there was not sent.
 */
static bool settle_old_of_tree(struct decoding *d, struct change *change) {
    const struct relation *relation = change->relation;
    change->old_kind = relation->identity == REPLICA_IDENTITY_FULL ? OLD_FULL : OLD_KEY;
    for (uint32_t i = 0; change->old_kind == OLD_KEY && i < relation->column_count; i++)
        if (relation->columns[i].is_key && change->old_values[i].kind == VALUE_NULL)
            return unknown_row(d, relation);
    return true;
}

static bool take_old(struct decoding *d, struct change *change, uint8_t letter) {
    bool has_unchanged = false;
    change->old_kind = letter;
    change->old_values = take_tuple(d, change->relation, &has_unchanged);
    if (change->old_values == NULL)
        return false;
    if (has_unchanged)
        return unchanged_from_nothing(d, change);
    if ((letter == OLD_KEY && change->relation->key_count == 0) || change->relation->is_unclear)
        return unknown_row(d, change->relation);
    return !change->relation->is_tree || settle_old_of_tree(d, change);
}

/* The row is complete: it gets its index in the transaction. */
static bool finish_row(struct decoding *d, struct change *change) {
    if (!decoding_finish(d))
        return false;
    change->index = d->decoder->next_index++;
    return true;
}

bool decode_insert(struct decoding *d) {
    struct change *change = add_row(d, CHANGE_INSERT);
    if (change == NULL)
        return false;
    if (cursor_u8(&d->cursor) != 'N')
        return decoding_malformed(d);
    change->new_values = take_tuple(d, change->relation, &change->is_partial);
    return change->new_values != NULL && finish_row(d, change);
}

/*
 * Copies values that the new row leaves out from the old row. An omitted value is large, so never null; a
 * null in the old row was not sent either.
 */
static void fill_unchanged(const struct change *change, struct value *new_values) {
    for (uint32_t i = 0; i < change->relation->column_count; i++)
        if (new_values[i].kind == VALUE_UNCHANGED && change->old_values[i].kind != VALUE_NULL)
            new_values[i] = change->old_values[i];
}

/* Does an identity column lack its value because it is large and did not change? */
static bool key_is_unchanged(const struct change *change, const struct value *new_values) {
    for (uint32_t i = 0; i < change->relation->column_count; i++)
        if (change->relation->columns[i].is_key && new_values[i].kind == VALUE_UNCHANGED)
            return true;
    return false;
}

/* Does an update without an old row fail to identify its row? */
static bool lacks_old(const struct change *change, const struct value *new_values, bool has_unchanged) {
    const struct relation *relation = change->relation;
    return relation->needs_old ||
           (has_unchanged && relation->is_unclear && key_is_unchanged(change, new_values));
}

bool decode_update(struct decoding *d) {
    struct change *change = add_row(d, CHANGE_UPDATE);
    if (change == NULL)
        return false;
    uint8_t letter = cursor_u8(&d->cursor);
    if (letter == OLD_KEY || letter == OLD_FULL) {
        if (!take_old(d, change, letter))
            return false;
        letter = cursor_u8(&d->cursor);
    }
    if (letter != 'N')
        return decoding_malformed(d);
    bool has_unchanged = false;
    struct value *new_values = take_tuple(d, change->relation, &has_unchanged);
    if (new_values == NULL)
        return false;
    if (change->old_kind == OLD_NONE && lacks_old(change, new_values, has_unchanged))
        return unknown_row(d, change->relation);
    if (has_unchanged && change->old_kind != OLD_NONE)
        fill_unchanged(change, new_values);
    change->new_values = new_values;
    return finish_row(d, change);
}

bool decode_delete(struct decoding *d) {
    struct change *change = add_row(d, CHANGE_DELETE);
    if (change == NULL)
        return false;
    uint8_t letter = cursor_u8(&d->cursor);
    if (letter != OLD_KEY && letter != OLD_FULL)
        return decoding_malformed(d);
    return take_old(d, change, letter) && finish_row(d, change);
}

static bool take_relations(struct decoding *d, struct change *change) {
    const struct relation **relations = arena_alloc(d->arena, change->relation_count * sizeof *relations);
    if (relations == NULL)
        return error_no_memory(d->err);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        const oid_t oid = cursor_u32(&d->cursor);
        const struct relation *sent = relation_cache_find(d->decoder->relations, oid);
        if (sent != NULL && !partition_trees_define(&d->decoder->trees, sent, d->err))
            return false;
        relations[i] = find_relation(d, oid);
        if (relations[i] == NULL)
            return false;
    }
    change->relations = relations;
    return true;
}

bool decode_truncate(struct decoding *d) {
    uint32_t count = cursor_u32(&d->cursor);
    uint8_t flags = cursor_u8(&d->cursor);
    if (d->cursor.failed || count == 0 || flags > (TRUNCATE_CASCADE | TRUNCATE_RESTART_IDENTITY))
        return decoding_malformed(d);
    if (cursor_left(&d->cursor) != count * sizeof(oid_t))
        return decoding_malformed(d);
    if (!decoding_expect_transaction(d))
        return false;
    struct change *change = decoding_add_change(d, CHANGE_TRUNCATE);
    if (change == NULL)
        return false;
    change->relation_count = count;
    /* each of the relations had its own announcement */
    d->decoder->announced[0] = d->decoder->announced[1] = 0;
    d->decoder->last_relation = NULL;
    change->truncate_flags = flags;
    return take_relations(d, change) && finish_row(d, change);
}
