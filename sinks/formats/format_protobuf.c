/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_protobuf.c - messages of proto/change.proto: the key is a Key, the value a Change.
 *
 *     insert, read, truncate, update    one message
 *     delete                            one, and a tombstone if they were asked for
 *     update that changes the key       the old key's message (a DELETE with moved_to; a tombstone), then the new one's
 *
 * A table without a key has messages without one. A truncate's key only names the table. The key of a
 * transaction's records is its commit LSN.
 */
#include <stdlib.h>
#include <string.h>

#include "proto/record.h"
#include "proto/record_read.h"
#include "sinks/formats/format.h"

struct format {
    bool tombstones;
    struct transaction_tally *tally; /* NULL: no transaction topic */
};

static const struct option_spec OPTIONS[] = {
    {"tombstones", false, "true: each delete is followed by a message without value, for compacted topics",
     OPTION_TEXT, "false"},
    {0},
};

static bool read_switch(const struct sink_config *config, const char *key, bool *ret_on, struct error *err) {
    const char *text = sink_config_find(config, key);
    *ret_on = text != NULL && strcmp(text, "true") == 0;
    if (text == NULL || *ret_on || strcmp(text, "false") == 0)
        return true;
    error_set(err, ERROR_CONFIG, "%s: expected true or false", key);
    return error_option(err, key);
}

static bool protobuf_create(const struct format_options *options, struct format **ret_format,
                            struct error *err) {
    struct format made = {.tally = options->tally};
    if (!read_switch(options->config, "tombstones", &made.tombstones, err))
        return false;
    struct format *format = malloc(sizeof *format);
    if (format == NULL)
        return error_no_memory(err);
    *format = made;
    *ret_format = format;
    return true;
}

static void protobuf_free(struct format *format) {
    free(format);
}

/* The change being encoded. */
struct encoding {
    const struct change *change;
    uint32_t relation_index;
    struct message_list *list;
    struct error *err;
};

static struct message *add_message(struct encoding *e) {
    struct message *message = &e->list->messages[e->list->count++];
    const struct change *change = e->change;
    *message = (struct message){.relation = change_is_row(change) ? change->relation
                                                                  : change->relations[e->relation_index],
                                .key.is_null = true,
                                .value.is_null = true};
    return message;
}

static struct message_span span_from(const struct message_list *list, size_t offset) {
    return (struct message_span){.offset = offset, .size = list->bytes.size - offset};
}

static bool add_key(struct encoding *e, struct message *message, bool old) {
    const size_t offset = e->list->bytes.size;
    if (change_is_row(e->change) && !record_has_key(message->relation))
        return true;
    if (old ? !record_write_old_key(e->change, &e->list->bytes, e->err)
            : !record_write_key(e->change, e->relation_index, &e->list->bytes, e->err))
        return false;
    message->key = span_from(e->list, offset);
    return true;
}

static bool add_change(struct encoding *e) {
    struct message *message = add_message(e);
    if (!add_key(e, message, false))
        return false;
    const size_t offset = e->list->bytes.size;
    if (!record_write(e->change, e->relation_index, &e->list->bytes, e->err))
        return false;
    message->value = span_from(e->list, offset);
    return true;
}

static bool add_moved(struct encoding *e) {
    struct message *message = add_message(e);
    if (!add_key(e, message, true))
        return false;
    const size_t offset = e->list->bytes.size;
    if (!record_write_moved(e->change, &e->list->bytes, e->err))
        return false;
    message->value = span_from(e->list, offset);
    return true;
}

/* The same key without a value; a message without a key needs no tombstone. */
static void add_tombstone(const struct format *format, struct encoding *e) {
    const struct message_span key = e->list->messages[e->list->count - 1].key;
    if (format->tombstones && !key.is_null)
        add_message(e)->key = key;
}

/* Counts one change of the table, however many messages it has. */
static bool count_change(const struct format *format, const struct encoding *e, struct error *err) {
    const struct change *change = e->change;
    uint64_t count;
    if (format->tally == NULL || change->kind == CHANGE_READ)
        return true;
    return transaction_tally_add(
        format->tally, change_is_row(change) ? change->relation : change->relations[e->relation_index],
        &count, err);
}

static bool protobuf_encode(struct format *format, const struct change *change, uint32_t relation_index,
                            int64_t now_us, struct message_list *list, struct error *err) {
    struct encoding e = {.change = change, .relation_index = relation_index, .list = list, .err = err};
    (void) now_us;
    buffer_reset(&list->bytes);
    list->count = 0;
    if (!count_change(format, &e, err))
        return false;
    if (record_is_move(change)) {
        if (!add_moved(&e))
            return false;
        add_tombstone(format, &e);
    }
    if (!add_change(&e))
        return false;
    if (change->kind == CHANGE_DELETE)
        add_tombstone(format, &e);
    return true;
}

static bool protobuf_encode_transaction(struct format *format, enum transaction_status status,
                                        struct message_list *list, struct error *err) {
    const struct transaction_tally *tally = format->tally;
    const bool is_end = status == TRANSACTION_END;
    const struct transaction_record record = {.status = status,
                                              .transaction = &tally->transaction,
                                              .change_count =
                                                  status == TRANSACTION_BEGIN ? 0 : tally->change_count,
                                              .tables = tally->tables,
                                              .table_count = is_end ? tally->table_count : 0};
    struct message *message = &list->messages[0];
    *message = (struct message){0};
    buffer_reset(&list->bytes);
    list->count = 1;
    if (!transaction_record_write_key(&record, &list->bytes, err))
        return false;
    message->key = span_from(list, 0);
    const size_t offset = list->bytes.size;
    if (!transaction_record_write(&record, &list->bytes, err))
        return false;
    message->value = span_from(list, offset);
    return true;
}

static bool protobuf_encode_schema(struct format *format, const struct schema_record *record,
                                   struct message_list *list, struct error *err) {
    struct message *message = &list->messages[0];
    (void) format;
    *message = (struct message){0};
    buffer_reset(&list->bytes);
    list->count = 1;
    if (!schema_record_write_key(record, &list->bytes, err))
        return false;
    message->key = span_from(list, 0);
    const size_t offset = list->bytes.size;
    if (!schema_record_write(record, &list->bytes, err))
        return false;
    message->value = span_from(list, offset);
    return true;
}

static bool protobuf_read(struct format *format, struct slice key, struct slice value, struct arena *arena,
                          struct format_reading *ret_reading, struct error *err) {
    struct format_reading reading = {.key = key, .is_tombstone = value.data == NULL, .has_index = true};
    struct record record;
    (void) format;
    if (!reading.is_tombstone) {
        if (!record_read(value, arena, &record, err))
            return false;
        reading.change = record.change;
    }
    *ret_reading = reading;
    return true;
}

static struct message_place protobuf_place(const struct change *change) {
    return (struct message_place){.commit_lsn = change->transaction->commit_lsn, .index = change->index};
}

const struct format_ops format_protobuf = {
    .name = "protobuf",
    .options = OPTIONS,
    .create = protobuf_create,
    .free = protobuf_free,
    .encode = protobuf_encode,
    .encode_transaction = protobuf_encode_transaction,
    .encode_schema = protobuf_encode_schema,
    .read = protobuf_read,
    .place = protobuf_place,
    .reads_text = true,
};
