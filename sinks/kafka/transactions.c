/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transactions.c - the records in the transaction topic: where source transactions begin, are split and end.
 *
 * The records are in the same Kafka transaction as the changes that they describe, so both are visible or
 * neither. A transaction of which nothing is published has no records.
 *
 * When an engine dies between the parts of a split transaction, its successor gets the whole transaction
 * from the source again. It encodes the changes of the first part again, counts them and discards the
 * messages. So END counts exactly what was published by both engines.
 */
#include "cdc/base/amount.h"
#include "sinks/kafka/kafka.h"

static bool is_told(const struct kafka_sink *kafka) {
    return kafka->options.transaction_topic != NULL;
}

static bool refuse_large(const struct kafka_sink *kafka, size_t bytes, const struct topic *topic,
                         struct error *err) {
    return error_set(err, ERROR_DATA,
                     "the transaction's record, with the counts of %s, is a message of %zu "
                     "bytes, and topic %s accepts at most %zu; raise max.message.bytes of the topic",
                     amount_count(kafka->tally.table_count, "table").text, bytes, topic->name,
                     topic->message_bytes_max);
}

static bool send_boundary(struct kafka_sink *kafka, const struct message *message, struct error *err) {
    struct topic *topic = NULL;
    const size_t bytes = message->key.size + message->value.size;
    if (!topics_find_transactions(&kafka->topics, &topic, err))
        return false;
    if (bytes > topic->message_bytes_max)
        return refuse_large(kafka, bytes, topic, err);
    const struct outgoing outgoing = {.topic = topic->handle,
                                      .partition = RD_KAFKA_PARTITION_UA,
                                      .key = message_slice(&kafka->boundary.bytes, &message->key),
                                      .value = message_slice(&kafka->boundary.bytes, &message->value)};
    kafka->sent.bytes += bytes;
    return producer_begin(&kafka->producer, err) && producer_send(&kafka->producer, &outgoing, err);
}

static bool tell(struct kafka_sink *kafka, enum transaction_status status, struct error *err) {
    struct message_list *list = &kafka->boundary;
    if (!kafka->options.format->encode_transaction(kafka->format, status, list, err))
        return false;
    for (size_t i = 0; i < list->count; i++)
        if (!send_boundary(kafka, &list->messages[i], err))
            return false;
    return true;
}

void kafka_transaction_start(struct kafka_sink *kafka, const struct change *change) {
    if (is_told(kafka))
        transaction_tally_start(&kafka->tally, change->transaction);
}

bool kafka_transaction_begin(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    if (!is_told(kafka) || kafka->tally.is_begun || change->kind == CHANGE_READ)
        return true;
    kafka->tally.is_begun = true;
    return tell(kafka, TRANSACTION_BEGIN, err);
}

bool kafka_transaction_split(struct kafka_sink *kafka, struct error *err) {
    return !is_told(kafka) || !kafka->tally.is_begun || tell(kafka, TRANSACTION_SPLIT, err);
}

bool kafka_transaction_end(struct kafka_sink *kafka, struct error *err) {
    return !is_told(kafka) || !kafka->tally.is_begun || tell(kafka, TRANSACTION_END, err);
}

/* ---- what an earlier engine has published ---- */

static bool count_again(struct kafka_sink *kafka, const struct change *change, uint32_t relation_index,
                        struct error *err) {
    struct message_list *list = &kafka->messages;
    if (!kafka->options.format->encode(kafka->format, change, relation_index, kafka->now_us, list, err))
        return false;
    kafka->tally.is_begun = kafka->tally.is_begun || list->count > 0;
    return true;
}

bool kafka_transaction_count_again(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    uint32_t count = change->kind == CHANGE_TRUNCATE ? change->relation_count : 1;
    if (!is_told(kafka) || change->kind == CHANGE_MESSAGE)
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (!count_again(kafka, change, i, err))
            return false;
    kafka->tally.change_count++;
    return true;
}
