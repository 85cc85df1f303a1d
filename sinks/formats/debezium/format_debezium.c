/* SPDX-License-Identifier: Apache-2.0 */
/*
 * format_debezium.c - debezium-json: the messages that Debezium's PostgreSQL connector and Kafka's JSON
 * converter without schemas send for the same change. README.md of this folder describes every message with
 * an example, and the differences.
 *
 *     insert, read      key       envelope
 *     update            key       envelope
 *     delete            key       envelope, and a tombstone: the key without a value
 *     update of a key   old key   envelope of a delete, with the new key as header, and a tombstone
 *                       new key   envelope of an insert, with the old key as header
 *     truncate          no key    envelope
 *
 * With a transaction topic, each envelope contains its place in its transaction, and BEGIN and END are
 * separate messages.
 *
 * Messages are written one after the other into the list's buffer; a part that two of them share is written
 * once.
 */
#include <assert.h>
#include <stdlib.h>

#include "cdc/base/epoch.h"
#include "cdc/base/json_text.h"
#include "sinks/formats/debezium/debezium_definition.h"
#include "sinks/formats/debezium/debezium_read.h"
#include "sinks/formats/debezium/debezium_schema.h"
#include "sinks/formats/debezium/debezium_value.h"
#include "sinks/formats/format.h"

enum {
    NAMES_BYTES_MAX = 400, /* for a table's key columns in an error */
    COLLECTION_BYTES_MAX = 1 << 16,
};

struct format {
    struct debezium_writer writer;
    struct debezium_schemas schemas; /* for schemas: inline */
    const struct sink_config *config;
    struct transaction_tally *tally; /* NULL: no transaction topic */
};

/* One call of encode. */
struct encoding {
    struct format *format;
    const struct change *change;
    const struct relation *relation;
    const struct debezium_schema *schema; /* NULL: none is written */
    int64_t now_us;
    struct message_list *list;
    struct buffer *json; /* the list's */
    struct error *err;
};

/* ---- pieces ---- */

static void append_text(const struct encoding *e, const char *text) {
    buffer_append_text(e->json, text);
}

static struct message_span span_from(const struct encoding *e, size_t offset) {
    return (struct message_span){.offset = offset, .size = e->json->size - offset};
}

static bool append_string(const struct encoding *e, struct slice text) {
    return json_append_string(e->json, text) ||
           error_set(e->err, ERROR_DATA, "table %s.%s: a name is not UTF-8", e->relation->schema.data,
                     e->relation->name.data);
}

/* Names from the configuration, or read from a catalog in UTF-8. */
static bool append_name(const struct encoding *e, const char *key, struct slice name) {
    append_text(e, key);
    return append_string(e, name);
}

static void append_milliseconds(const struct encoding *e, int64_t time_us) {
    append_text(e, ",\"ts_ms\":");
    json_append_integer(e->json, time_us / 1000);
}

static void append_finer_times(const struct encoding *e, int64_t time_us) {
    append_text(e, ",\"ts_us\":");
    json_append_integer(e->json, time_us);
    append_text(e, ",\"ts_ns\":");
    json_append_integer(e->json, time_us * 1000);
}

/* ---- rows and keys ---- */

static bool has_key(const struct relation *relation) {
    return relation->key_count > 0 && relation->identity != REPLICA_IDENTITY_FULL;
}

static void fill_key_names(const struct relation *relation, struct buffer *names) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key)
            buffer_printf(names, "%s%s", names->size > 0 ? ", " : "", relation->columns[i].name.data);
}

static bool refuse_value(const struct encoding *e, const struct column *column, const struct value *value) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    fill_key_names(e->relation, &names);
    const char *key = buffer_text(&names);
    const bool is_nested = e->format->writer.met_nested;
    return error_set(
        e->err, value->kind == VALUE_BINARY ? ERROR_PROTOCOL : ERROR_DATA,
        "table %s.%s (key %s) at %s: column %s of type %s.%s has a value that is %s",
        e->relation->schema.data, e->relation->name.data, key != NULL && *key != '\0' ? key : "none",
        lsn_format(e->change->lsn).text, column->name.data, column->type_schema.data, column->type_name.data,
        value->kind == VALUE_BINARY ? "binary, although text was asked for"
        : is_nested
            ? "an array of several dimensions, which schemas: inline cannot describe; set schemas: none"
            : "not the text that PostgreSQL writes for it in a UTF-8 database");
}

/* A column that the update left unchanged has its value in the old row, if that was sent. */
static const struct value *value_of(const struct change *change, const struct value *values,
                                    uint32_t column) {
    const struct value *value = &values[column];
    bool is_known_before = change->old_values != NULL && change->old_values[column].kind == VALUE_TEXT;
    return value->kind == VALUE_UNCHANGED && is_known_before ? &change->old_values[column] : value;
}

static bool append_columns(const struct encoding *e, const struct value *values, bool key_only) {
    const struct relation *relation = e->relation;
    bool is_first = true;
    append_text(e, "{");
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        const struct value *value = value_of(e->change, values, i);
        if ((key_only && !column->is_key) || !debezium_column_is_written(&e->format->writer, column))
            continue;
        if (!append_name(e, is_first ? "" : ",", column->name))
            return false;
        append_text(e, ":");
        if (!debezium_value_append(&e->format->writer, column, value, e->json))
            return refuse_value(e, column, value);
        is_first = false;
    }
    append_text(e, "}");
    return true;
}

static bool append_row(const struct encoding *e, const char *name, const struct value *values) {
    append_text(e, name);
    if (values != NULL)
        return append_columns(e, values, false);
    append_text(e, "null");
    return true;
}

/* The key of a row; null for a table without one. */
static bool make_key(const struct encoding *e, const struct value *values, struct message_span *ret_key) {
    size_t start = e->json->size;
    *ret_key = (struct message_span){.is_null = true};
    if (values == NULL || !has_key(e->relation))
        return true;
    if (e->schema != NULL)
        buffer_append_slice(e->json, buffer_slice(&e->schema->key));
    if (!append_columns(e, values, true))
        return false;
    append_text(e, e->schema != NULL ? "}" : "");
    *ret_key = span_from(e, start);
    return true;
}

static bool is_same_value(const struct value *before, const struct value *after) {
    return after->kind == VALUE_UNCHANGED ||
           (before->kind == after->kind && slice_equal(value_slice(before), value_slice(after)));
}

/* The server also sends the old key when a part of it is large, changed or not. */
static bool changes_key(const struct change *change) {
    const struct relation *relation = change->relation;
    if (change->kind != CHANGE_UPDATE || change->old_kind != OLD_KEY || !has_key(relation))
        return false;
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key && !is_same_value(&change->old_values[i], &change->new_values[i]))
            return true;
    return false;
}

/* ---- the envelope ---- */

/*
 * sequence orders messages: the commit LSN of the transaction, then the LSN of the change. A copied row
 * belongs to no transaction.
 */
static void append_position(const struct encoding *e) {
    const struct change *change = e->change;
    const struct transaction *transaction = change->transaction;
    bool is_read = change->kind == CHANGE_READ;
    append_text(e, ",\"sequence\":\"[");
    if (is_read)
        append_text(e, "null");
    else
        buffer_printf(e->json, "\\\"%llu\\\"", (unsigned long long) transaction->commit_lsn);
    buffer_printf(e->json, ",\\\"%llu\\\"]\"", (unsigned long long) change->lsn);
}

static void append_transaction(const struct encoding *e) {
    const struct change *change = e->change;
    append_text(e, ",\"txId\":");
    if (change->kind == CHANGE_READ)
        append_text(e, "null");
    else
        json_append_integer(e->json, change->transaction->xid);
    append_text(e, ",\"lsn\":");
    json_append_integer(e->json, (int64_t) change->lsn);
    append_text(e, ",\"xmin\":null");
}

static bool append_source(const struct encoding *e) {
    const struct sink_config *config = e->format->config;
    const char *database = config->database != NULL ? config->database : "";
    append_text(e, ",\"source\":{\"version\":\"" PGCDC_VERSION "\",\"connector\":\"postgresql\"");
    if (!append_name(e, ",\"name\":", slice_of(config->pipeline)))
        return false;
    const int64_t time_us = e->change->transaction->commit_time_us + POSTGRES_EPOCH_US;
    append_milliseconds(e, time_us);
    append_text(e, e->change->kind == CHANGE_READ ? ",\"snapshot\":\"true\"" : ",\"snapshot\":\"false\"");
    if (!append_name(e, ",\"db\":", slice_of(database)))
        return false;
    append_position(e);
    append_finer_times(e, time_us);
    if (!append_name(e, ",\"schema\":", e->relation->schema) ||
        !append_name(e, ",\"table\":", e->relation->name))
        return false;
    append_transaction(e);
    append_text(e, ",\"origin\":null,\"origin_lsn\":null}");
    return true;
}

static void append_transaction_id(struct buffer *json, const struct transaction *transaction) {
    buffer_printf(json, "{\"id\":\"%u:%llu\"", transaction->xid,
                  (unsigned long long) transaction->commit_lsn);
}

/*
 * The transaction block: this event's ordinal in the transaction, and among the transaction's events of its
 * table.
 */
static bool append_order(const struct encoding *e) {
    struct transaction_tally *tally = e->format->tally;
    uint64_t of_table;
    append_text(e, ",\"transaction\":");
    if (tally == NULL || e->change->kind == CHANGE_READ) {
        append_text(e, "null");
        return true;
    }
    if (!transaction_tally_add(tally, e->relation, &of_table, e->err))
        return false;
    append_transaction_id(e->json, e->change->transaction);
    buffer_printf(e->json, ",\"total_order\":%llu,\"data_collection_order\":%llu}",
                  (unsigned long long) tally->event_count, (unsigned long long) of_table);
    return true;
}

static bool append_envelope(const struct encoding *e, char op, const struct value *before,
                            const struct value *after) {
    if (!append_row(e, "{\"before\":", before) || !append_row(e, ",\"after\":", after) || !append_source(e) ||
        !append_order(e))
        return false;
    buffer_printf(e->json, ",\"op\":\"%c\"", op);
    append_milliseconds(e, e->now_us);
    append_finer_times(e, e->now_us);
    append_text(e, "}");
    return true;
}

/* ---- messages ---- */

static struct message *add_message(const struct encoding *e, struct message_span key) {
    assert(e->list->count < MESSAGES_PER_CHANGE_MAX);
    struct message *message = &e->list->messages[e->list->count++];
    *message = (struct message){.relation = e->relation, .key = key};
    return message;
}

static void add_header(struct message *message, const char *name, struct message_span value) {
    message->headers[message->header_count].name = name;
    message->headers[message->header_count++].value = value;
}

static bool add_envelope(const struct encoding *e, struct message_span key, char op,
                         const struct value *before, const struct value *after) {
    size_t start = e->json->size;
    if (e->schema != NULL)
        buffer_append_slice(e->json, buffer_slice(&e->schema->value));
    if (!append_envelope(e, op, before, after))
        return false;
    append_text(e, e->schema != NULL ? "}" : "");
    add_message(e, key)->value = span_from(e, start);
    return true;
}

static void add_tombstone(const struct encoding *e, struct message_span key) {
    if (e->format->writer.options.tombstones && !key.is_null)
        add_message(e, key)->value.is_null = true;
}

static bool encode_delete(const struct encoding *e) {
    struct message_span key;
    if (!make_key(e, e->change->old_values, &key) || !add_envelope(e, key, 'd', e->change->old_values, NULL))
        return false;
    add_tombstone(e, key);
    return true;
}

static bool is_skipped(const struct encoding *e, unsigned operation) {
    return (e->format->writer.options.skipped & operation) != 0;
}

/* The delete of the old row under its old key, with the new key as a header. */
static bool add_old_key(const struct encoding *e, struct message_span old_key, struct message_span new_key) {
    if (!add_envelope(e, old_key, 'd', e->change->old_values, NULL))
        return false;
    add_tombstone(e, old_key);
    for (size_t i = 0; i < e->list->count; i++)
        add_header(&e->list->messages[i], "__debezium.newkey", new_key);
    return true;
}

static bool add_new_key(const struct encoding *e, struct message_span old_key, struct message_span new_key) {
    if (!add_envelope(e, new_key, 'c', NULL, e->change->new_values))
        return false;
    add_header(&e->list->messages[e->list->count - 1], "__debezium.oldkey", old_key);
    return true;
}

static bool encode_key_change(const struct encoding *e) {
    struct message_span old_key, new_key;
    return make_key(e, e->change->old_values, &old_key) && make_key(e, e->change->new_values, &new_key) &&
           (is_skipped(e, SKIP_DELETE) || add_old_key(e, old_key, new_key)) &&
           (is_skipped(e, SKIP_CREATE) || add_new_key(e, old_key, new_key));
}

static bool encode_row(const struct encoding *e, char op) {
    struct message_span key;
    return make_key(e, e->change->new_values, &key) &&
           add_envelope(e, key, op, e->change->old_values, e->change->new_values);
}

static bool encode_change(const struct encoding *e) {
    switch (e->change->kind) {
    case CHANGE_READ:
        return encode_row(e, 'r');
    case CHANGE_INSERT:
        return is_skipped(e, SKIP_CREATE) || encode_row(e, 'c');
    case CHANGE_UPDATE:
        if (is_skipped(e, SKIP_UPDATE))
            return true;
        return changes_key(e->change) ? encode_key_change(e) : encode_row(e, 'u');
    case CHANGE_DELETE:
        return is_skipped(e, SKIP_DELETE) || encode_delete(e);
    case CHANGE_TRUNCATE:
        return is_skipped(e, SKIP_TRUNCATE) ||
               add_envelope(e, (struct message_span){.is_null = true}, 't', NULL, NULL);
    case CHANGE_BEGIN:
    case CHANGE_COMMIT:
    case CHANGE_MESSAGE:
        break;
    }
    assert(false);
    return false;
}

/* ---- transactions ---- */

/* "schema.table" as Debezium writes it: one string, the names not quoted. */
static bool append_collection(struct buffer *json, const struct relation *relation) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = COLLECTION_BYTES_MAX};
    buffer_append_slice(&name, relation->schema);
    buffer_append_text(&name, ".");
    buffer_append_slice(&name, relation->name);
    buffer_append_text(json, "{\"data_collection\":");
    return buffer_ok(&name) && json_append_string(json, buffer_slice(&name));
}

static bool append_collections(struct buffer *json, const struct transaction_tally *tally,
                               struct error *err) {
    buffer_printf(json, ",\"event_count\":%llu,\"data_collections\":[",
                  (unsigned long long) tally->event_count);
    for (size_t i = 0; i < tally->table_count; i++) {
        const struct table_count *table = &tally->tables[i];
        buffer_append_text(json, i > 0 ? "," : "");
        if (!append_collection(json, table->relation))
            return error_set(err, ERROR_DATA, "table %s.%s: a name is not UTF-8",
                             table->relation->schema.data, table->relation->name.data);
        buffer_printf(json, ",\"event_count\":%llu}", (unsigned long long) table->change_count);
    }
    buffer_append_text(json, "]");
    return true;
}

static bool append_boundary(struct buffer *json, enum transaction_status status,
                            const struct transaction_tally *tally, struct error *err) {
    const struct transaction *transaction = &tally->transaction;
    const bool is_end = status == TRANSACTION_END;
    buffer_printf(json, "{\"status\":\"%s\",\"id\":\"%u:%llu\"", is_end ? "END" : "BEGIN", transaction->xid,
                  (unsigned long long) transaction->commit_lsn);
    if (!is_end)
        buffer_append_text(json, ",\"event_count\":null,\"data_collections\":null");
    else if (!append_collections(json, tally, err))
        return false;
    buffer_append_text(json, ",\"ts_ms\":");
    json_append_integer(json, (transaction->commit_time_us + POSTGRES_EPOCH_US) / 1000);
    buffer_append_text(json, "}");
    return true;
}

/* Debezium has no record for a split. */
static bool debezium_encode_transaction(struct format *format, enum transaction_status status,
                                        struct message_list *list, struct error *err) {
    struct buffer *json = &list->bytes;
    struct message *message = &list->messages[0];
    *message = (struct message){0};
    buffer_reset(json);
    list->count = status == TRANSACTION_SPLIT ? 0 : 1;
    const bool has_schemas = format->writer.options.schemas == SCHEMAS_INLINE;
    buffer_append_text(json, has_schemas ? DEBEZIUM_TRANSACTION_KEY_SCHEMA : "");
    append_transaction_id(json, &format->tally->transaction);
    buffer_append_text(json, has_schemas ? "}}" : "}");
    message->key = (struct message_span){.size = json->size};
    buffer_append_text(json, has_schemas ? DEBEZIUM_TRANSACTION_VALUE_SCHEMA : "");
    if (!append_boundary(json, status, format->tally, err))
        return false;
    buffer_append_text(json, has_schemas ? "}" : "");
    message->value =
        (struct message_span){.offset = message->key.size, .size = json->size - message->key.size};
    return buffer_ok(json) || error_no_memory(err);
}

/* ---- definitions ---- */

/* Debezium's connector has no such record for PostgreSQL. */
static bool debezium_encode_schema(struct format *format, const struct schema_record *record,
                                   struct message_list *list, struct error *err) {
    struct message *message = &list->messages[0];
    (void) format;
    *message = (struct message){0};
    buffer_reset(&list->bytes);
    list->count = 1;
    if (!debezium_definition_write_key(record, &list->bytes, err))
        return false;
    message->key = (struct message_span){.size = list->bytes.size};
    if (!debezium_definition_write(record, &list->bytes, err))
        return false;
    message->value = (struct message_span){.offset = message->key.size,
                                           .size = list->bytes.size - message->key.size};
    return true;
}

/* ---- the format ---- */

static bool debezium_create(const struct format_options *options, struct format **ret_format,
                            struct error *err) {
    struct debezium_options values;
    if (!debezium_options_read(options->config, &values, err))
        return false;
    struct format *format = calloc(1, sizeof *format);
    if (format == NULL)
        return error_no_memory(err);
    debezium_writer_init(&format->writer, &values);
    const char *topic = sink_config_find(options->config, "topic");
    debezium_schemas_init(&format->schemas, &format->writer, topic != NULL ? topic : TOPIC_TEMPLATE_DEFAULT,
                          slice_of(options->config->pipeline));
    format->config = options->config;
    format->tally = options->tally;
    *ret_format = format;
    return true;
}

static void debezium_free(struct format *format) {
    if (format == NULL)
        return;
    debezium_schemas_release(&format->schemas);
    debezium_writer_release(&format->writer);
    free(format);
}

static bool debezium_encode(struct format *format, const struct change *change, uint32_t relation_index,
                            int64_t now_us, struct message_list *list, struct error *err) {
    bool is_truncate = change->kind == CHANGE_TRUNCATE;
    buffer_reset(&list->bytes);
    list->count = 0;
    struct encoding encoding = {.format = format,
                                .change = change,
                                .relation =
                                    is_truncate ? change->relations[relation_index] : change->relation,
                                .now_us = now_us,
                                .list = list,
                                .json = &list->bytes,
                                .err = err};
    if (format->writer.options.schemas == SCHEMAS_INLINE &&
        !debezium_schemas_find(&format->schemas, encoding.relation, change->kind == CHANGE_READ,
                               &encoding.schema, err))
        return false;
    if (!encode_change(&encoding))
        return false;
    return buffer_ok(&list->bytes) || error_no_memory(err);
}

static bool debezium_read_message(struct format *format, struct slice key, struct slice value,
                                  struct arena *arena, struct format_reading *ret_reading,
                                  struct error *err) {
    (void) format;
    return debezium_read(key, value, arena, ret_reading, err);
}

/* As append_position writes it. */
static struct message_place debezium_place(const struct change *change) {
    const bool is_read = change->kind == CHANGE_READ;
    return (struct message_place){.commit_lsn = is_read ? debezium_read_row_lsn(change->lsn)
                                                        : change->transaction->commit_lsn,
                                  .index = change->lsn};
}

static bool debezium_skips(const struct format *format, enum change_kind kind) {
    const unsigned skipped = format->writer.options.skipped;
    return (kind == CHANGE_INSERT && (skipped & SKIP_CREATE) != 0) ||
           (kind == CHANGE_UPDATE && (skipped & SKIP_UPDATE) != 0) ||
           (kind == CHANGE_DELETE && (skipped & SKIP_DELETE) != 0) ||
           (kind == CHANGE_TRUNCATE && (skipped & SKIP_TRUNCATE) != 0);
}

const struct format_ops format_debezium_json = {
    .name = "debezium-json",
    .options = DEBEZIUM_OPTIONS,
    .create = debezium_create,
    .free = debezium_free,
    .encode = debezium_encode,
    .encode_transaction = debezium_encode_transaction,
    .encode_schema = debezium_encode_schema,
    .read = debezium_read_message,
    .place = debezium_place,
    .skips = debezium_skips,
};
