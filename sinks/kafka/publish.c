/* SPDX-License-Identifier: Apache-2.0 */
/*
 * publish.c - encodes a change and puts its messages into the producer's queue.
 *
 * A message that is too large for its topic is found before it is sent, because the broker would refuse the
 * whole batch.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "cdc/base/fault.h"
#include "sinks/kafka/client/kafka_error.h"
#include "sinks/kafka/kafka.h"

enum { COLUMN_NAMES_BYTES_MAX = 512, NUMBER_TEXT_MAX = 24 };

/* ---- headers ---- */

static bool add_header(rd_kafka_headers_t *headers, const char *name, struct slice value) {
    return rd_kafka_header_add(headers, name, -1, value.data, (ssize_t) value.size) ==
           RD_KAFKA_RESP_ERR_NO_ERROR;
}

static bool add_text(rd_kafka_headers_t *headers, const char *name, const char *text) {
    return add_header(headers, name, slice_of(text));
}

/* The headers that identify a change. */
static bool add_identity(rd_kafka_headers_t *headers, const struct change *change) {
    char index[NUMBER_TEXT_MAX], xid[NUMBER_TEXT_MAX];
    snprintf(index, sizeof index, "%" PRIu64, change->index);
    snprintf(xid, sizeof xid, "%" PRIu32, change->transaction->xid);
    return add_text(headers, "pgcdc.commit_lsn", lsn_format(change->transaction->commit_lsn).text) &&
           add_text(headers, "pgcdc.index", index) && add_text(headers, "pgcdc.xid", xid);
}

static bool add_own(rd_kafka_headers_t *headers, const struct message_list *list,
                    const struct message *message) {
    for (uint32_t i = 0; i < message->header_count; i++)
        if (!add_header(headers, message->headers[i].name,
                        message_slice(&list->bytes, &message->headers[i].value)))
            return false;
    return true;
}

/*
 * *ret_headers NULL: the message has no headers, which makes sending cheaper. origin: the topic that does not
 * accept the message, or NULL.
 */
static bool make_headers(const struct kafka_sink *kafka, const struct change *change,
                         const struct message *message, const char *origin, rd_kafka_headers_t **ret_headers,
                         struct error *err) {
    const bool identifies = kafka->options.headers || origin != NULL;
    *ret_headers = NULL;
    if (!identifies && message->header_count == 0)
        return true;
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    if (headers == NULL)
        return error_no_memory(err);
    if (add_own(headers, &kafka->messages, message) && (!identifies || add_identity(headers, change)) &&
        (origin == NULL || add_text(headers, "pgcdc.topic", origin))) {
        *ret_headers = headers;
        return true;
    }
    rd_kafka_headers_destroy(headers);
    return error_no_memory(err);
}

/* ---- messages that are too large ---- */

/* Names come from the catalog and are no secret; values are never shown. */
static const char *list_key_columns(const struct relation *relation, struct buffer *names) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key)
            buffer_printf(names, "%s%s", names->size > 0 ? ", " : "", relation->columns[i].name.data);
    const char *text = buffer_text(names);
    if (text == NULL)
        return "more columns than fit here";
    return names->size > 0 ? text : "none";
}

static bool refuse_oversized(const struct message *message, size_t bytes, const struct topic *topic,
                             struct error *err) {
    struct buffer names AUTO(buffer_release);
    buffer_init(&names, COLUMN_NAMES_BYTES_MAX);
    return error_set(err, ERROR_DATA,
                     "a change of table %s.%s (key: %s) is a message of %zu bytes, and topic %s "
                     "accepts at most %zu; raise max.message.bytes of the topic, or keep such "
                     "changes in another topic with on_error: dead_letter",
                     message->relation->schema.data, message->relation->name.data,
                     list_key_columns(message->relation, &names), bytes, topic->name,
                     topic->message_bytes_max);
}

/* ---- one message ---- */

/* To this partition of the topic, or where librdkafka sends it. */
static bool send_to(struct kafka_sink *kafka, const struct change *change, const struct message *message,
                    const struct topic *topic, int32_t partition, const char *origin, struct error *err) {
    struct outgoing outgoing = {.topic = topic->handle,
                                .partition = partition,
                                .key = message_slice(&kafka->messages.bytes, &message->key),
                                .value = message_slice(&kafka->messages.bytes, &message->value)};
    if (!make_headers(kafka, change, message, origin, &outgoing.headers, err) ||
        !producer_send(&kafka->producer, &outgoing, err))
        return false;
    kafka->sent.bytes += outgoing.key.size + outgoing.value.size;
    return true;
}

/* oversized: dead-letter. */
static bool send_aside(struct kafka_sink *kafka, const struct change *change, const struct message *message,
                       size_t bytes, const struct topic *origin, struct error *err) {
    struct topic *topic = NULL;
    if (kafka->options.oversized == OVERSIZED_STOP)
        return refuse_oversized(message, bytes, origin, err);
    if (!topics_find_dead_letters(&kafka->topics, &topic, err))
        return false;
    if (bytes > topic->message_bytes_max)
        return refuse_oversized(message, bytes, topic, err);
    return send_to(kafka, change, message, topic, RD_KAFKA_PARTITION_UA, origin->name, err);
}

/* A tombstone has no place, and is not counted. */
static bool send_counted(struct kafka_sink *kafka, const struct change *change, const struct message *message,
                         struct table_topic *table, struct error *err) {
    const struct slice key = message_slice(&kafka->messages.bytes, &message->key);
    const int32_t partition = partitions_choose(&kafka->topics.partitioner, table->topic, key);
    const struct message_place place = kafka->options.format->place(change);
    if (table->account == NULL &&
        !accounts_find(&kafka->accounts, table->topic, message->relation->oid, &table->account, err))
        return false;
    return send_to(kafka, change, message, table->topic, partition, NULL, err) &&
           (message->value.is_null || accounts_add(&kafka->accounts, table->account, partition, &place, err));
}

static bool send_message(struct kafka_sink *kafka, const struct change *change, const struct message *message,
                         struct error *err) {
    struct table_topic *table = NULL;
    const size_t bytes = kafka_message_bytes(message);
    if (!topics_find(&kafka->topics, message->relation, &table, err))
        return false;
    if (bytes > table->topic->message_bytes_max)
        return send_aside(kafka, change, message, bytes, table->topic, err);
    return send_counted(kafka, change, message, table, err);
}

static bool publish_for(struct kafka_sink *kafka, const struct change *change, uint32_t relation_index,
                        struct error *err) {
    struct message_list *list = &kafka->messages;
    bool is_taken = false;
    if (!kafka->options.format->encode(kafka->format, change, relation_index, kafka->now_us, list, err))
        return false;
    if (list->count > 0 && (!kafka_transaction_begin(kafka, change, err) ||
                            !kafka_definition_tell(kafka, change, list->messages[0].relation, err)))
        return false;
    if (!kafka_letters_take(kafka, change, &is_taken, err))
        return false;
    for (size_t i = 0; i < list->count && !is_taken; i++)
        if (!send_message(kafka, change, &list->messages[i], err))
            return false;
    return true;
}

/* Its messages would have the key of another row. */
static bool has_doubtful_key(const struct change *change) {
    return change_is_row(change) && change->relation->certainty == KEY_DOUBTFUL &&
           change->relation->key_count > 0;
}

bool kafka_publish(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    uint32_t count = change->kind == CHANGE_TRUNCATE ? change->relation_count : 1;
    if (has_doubtful_key(change))
        return change_refuse_doubtful(change, err);
    if (!producer_begin(&kafka->producer, err))
        return false;
    for (uint32_t i = 0; i < count; i++)
        if (!publish_for(kafka, change, i, err))
            return false;
    kafka->sent.changes++;
    kafka->tally.change_count++;
    return true;
}
