/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record_rows.c - a record with a key says how its row is; one without adds rows and takes them away.
 */
#include "sinks/kafka/verify/record_rows.h"

#include <stdlib.h>
#include <string.h>

/* ---- reading ---- */

static const struct relation *relation_of(const struct change *change) {
    return change_is_row(change) ? change->relation : change->relations[0];
}

static bool is_of_table(const struct topic_table *table, const struct change *change) {
    const struct relation *relation = relation_of(change);
    return slice_equal(relation->schema, table->relation.schema) &&
           slice_equal(relation->name, table->relation.name);
}

static bool has_constant(const struct change *change, const struct topic_constant *constant) {
    const struct value *values = change->new_values != NULL ? change->new_values : change->old_values;
    for (uint32_t i = 0; values != NULL && i < change->relation->column_count; i++)
        if (slice_equal(change->relation->columns[i].name, constant->column))
            return values[i].kind != VALUE_TEXT || slice_equal(value_slice(&values[i]), constant->value);
    return true;
}

/* Several tables of a mapping can have one topic; a constant tells their rows apart. */
static bool is_of_source(const struct topic_table *table, const struct change *change) {
    for (size_t i = 0; change_is_row(change) && i < table->constant_count; i++)
        if (!has_constant(change, &table->constants[i]))
            return false;
    return true;
}

static struct slice bytes_of(const void *bytes, size_t size) {
    if (bytes == NULL)
        return (struct slice){0};
    return (struct slice){.data = bytes, .size = size};
}

static enum record_kind kind_of_record(const struct topic_table *table,
                                       const struct format_reading *reading) {
    if (reading->is_tombstone)
        return reading->key.data == NULL || !table->has_key ? RECORD_FOREIGN
               : table->is_shared                           ? RECORD_OF_OTHERS
                                                            : RECORD_TOMBSTONE;
    if (!is_of_table(table, &reading->change))
        return table->is_shared ? RECORD_OF_OTHERS : RECORD_FOREIGN;
    if (!is_of_source(table, &reading->change))
        return RECORD_OF_OTHERS;
    return reading->change.kind == CHANGE_TRUNCATE ? RECORD_OF_TRUNCATE : RECORD_OF_ROW;
}

/* With headers: on, a message has the number of its change, whatever its format says. */
static void read_header(const rd_kafka_message_t *message, struct format_reading *reading) {
    rd_kafka_headers_t *headers = NULL;
    const void *value = NULL;
    char text[24];
    size_t size = 0;
    if (reading->has_index || reading->is_tombstone ||
        rd_kafka_message_headers(message, &headers) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_get_last(headers, "pgcdc.index", &value, &size) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        size == 0 || size >= sizeof text)
        return;
    memcpy(text, value, size);
    text[size] = '\0';
    reading->change.index = strtoull(text, NULL, 10);
    reading->has_index = true;
}

bool record_read_message(const struct topic_table *table, struct topic_codec *codec,
                         const rd_kafka_message_t *message, struct format_reading *ret_reading,
                         enum record_kind *ret_kind, struct error *err) {
    *ret_reading = (struct format_reading){0};
    *ret_kind = RECORD_FOREIGN;
    arena_reset(&codec->arena);
    if (!codec->ops->read(codec->format, bytes_of(message->key, message->key_len),
                          bytes_of(message->payload, message->len), &codec->arena, ret_reading, err)) {
        if (err->kind != ERROR_PROTOCOL)
            return false;
        *err = (struct error){0};
        return true;
    }
    if (!ret_reading->is_tombstone)
        ret_reading->place = (struct message_place){.commit_lsn = ret_reading->change.transaction->commit_lsn,
                                                    .index = ret_reading->change.index};
    read_header(message, ret_reading);
    *ret_kind = kind_of_record(table, ret_reading);
    return true;
}

/* ---- entries ---- */

static int compare_keys(const void *key, const void *item) {
    const int64_t wanted = *(const int64_t *) key, found = *(const int64_t *) item;
    return (wanted > found) - (wanted < found);
}

bool record_key_is_among(const struct comparison_keys *only, const struct row_key *key) {
    const int64_t wanted = (int64_t) key->words[0];
    return only == NULL ||
           bsearch(&wanted, only->items, only->count, sizeof *only->items, compare_keys) != NULL;
}

static bool put_entry(struct record_rows *rows, struct error *err) {
    if (!record_key_is_among(rows->only, &rows->entry->key))
        return true;
    return row_store_add(rows->store, &rows->entry->key, err);
}

static void begin_entry(struct record_rows *rows, const rd_kafka_message_t *message,
                        const struct format_reading *reading) {
    struct record_entry *entry = rows->entry;
    const struct change *change = &reading->change;
    *entry = (struct record_entry){.offset = message->offset, .partition = message->partition};
    memset(entry->apart, 0, rows->layout->apart_count * sizeof *entry->apart);
    if (reading->is_tombstone)
        return;
    entry->commit_lsn = change->transaction->commit_lsn;
    entry->index = change->index;
    entry->flags = RECORD_PLACED;
    /* Otherwise the index is an LSN, which a transaction uses once for a key. */
    if (reading->has_index || (rows->table->has_key && change->kind != CHANGE_READ))
        entry->flags |= RECORD_IDENTIFIED;
}

static void put_image(struct record_rows *rows, const struct change *change, const struct value *values,
                      const struct value *old_values) {
    struct record_entry *entry = rows->entry;
    struct row_image image;
    const struct image_row row = {.relation = change->relation,
                                  .values = values,
                                  .old_values = old_values,
                                  .may_lack = change->kind != CHANGE_READ};
    row_image_make(rows->layout, &row, &image, entry->apart);
    entry->hash = image.hash;
    entry->flags |= (image.is_partial ? RECORD_PARTIAL : 0u) | (image.is_doubtful ? RECORD_DOUBTFUL : 0u);
    if (!rows->table->has_key)
        entry->key = image.key;
}

static bool take_keyed(struct record_rows *rows, const rd_kafka_message_t *message,
                       const struct format_reading *reading, struct error *err) {
    const struct change *change = &reading->change;
    if (reading->key.data == NULL) {
        rows->unusable++;
        return true;
    }
    begin_entry(rows, message, reading);
    rows->entry->key = row_key_of(reading->key);
    if (!reading->is_tombstone && change->kind != CHANGE_DELETE) {
        rows->entry->flags |= RECORD_ALIVE;
        put_image(rows, change, change->new_values, change->old_kind == OLD_FULL ? change->old_values : NULL);
    }
    return put_entry(rows, err);
}

static bool take_image(struct record_rows *rows, const rd_kafka_message_t *message,
                       const struct format_reading *reading, const struct value *values, uint32_t flags,
                       struct error *err) {
    const struct change *change = &reading->change;
    begin_entry(rows, message, reading);
    put_image(rows, change, values,
              values == change->new_values && change->old_kind == OLD_FULL ? change->old_values : NULL);
    if ((rows->entry->flags & RECORD_PARTIAL) != 0) {
        rows->unusable++;
        return true;
    }
    rows->entry->flags |= flags;
    if (change->kind == CHANGE_UPDATE && flags == RECORD_TAKES_AWAY) /* its other entry has the identity */
        rows->entry->flags &= ~(uint32_t) RECORD_IDENTIFIED;
    return put_entry(rows, err);
}

static bool take_keyless(struct record_rows *rows, const rd_kafka_message_t *message,
                         const struct format_reading *reading, struct error *err) {
    const struct change *change = &reading->change;
    const bool takes_away = change->kind == CHANGE_UPDATE || change->kind == CHANGE_DELETE;
    const bool adds = change->kind != CHANGE_DELETE;
    if (takes_away && (change->old_values == NULL || change->old_kind != OLD_FULL)) {
        rows->unusable++;
        return true;
    }
    return (!takes_away || take_image(rows, message, reading, change->old_values, RECORD_TAKES_AWAY, err)) &&
           (!adds || take_image(rows, message, reading, change->new_values, RECORD_ALIVE, err));
}

static void count_record(struct record_rows *rows, const rd_kafka_message_t *message,
                         const struct format_reading *reading) {
    struct partition_account *found = rows->found != NULL ? &rows->found[message->partition] : NULL;
    if (found != NULL && message->offset >= found->from)
        account_add(found, reading->place.commit_lsn, reading->place.index);
}

bool record_rows_take(void *context, const rd_kafka_message_t *message, struct error *err) {
    struct record_rows *rows = context;
    struct format_reading reading;
    enum record_kind kind;
    if (!record_read_message(rows->table, rows->codec, message, &reading, &kind, err))
        return false;
    if (kind == RECORD_OF_ROW || kind == RECORD_OF_TRUNCATE)
        count_record(rows, message, &reading);
    switch (kind) {
    case RECORD_FOREIGN:
        rows->foreign++;
        return true;
    case RECORD_OF_OTHERS:
        return true;
    case RECORD_OF_TRUNCATE: {
        const struct record_place place = {reading.change.transaction->commit_lsn, reading.change.index};
        if (record_place_compare(&place, &rows->truncated) > 0)
            rows->truncated = place;
        return true;
    }
    case RECORD_OF_ROW:
    case RECORD_TOMBSTONE:
        break;
    }
    return rows->table->has_key ? take_keyed(rows, message, &reading, err)
                                : take_keyless(rows, message, &reading, err);
}
