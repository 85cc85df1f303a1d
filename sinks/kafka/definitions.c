/* SPDX-License-Identifier: Apache-2.0 */
/*
 * definitions.c - the schema topic: a record of a table's columns before the first record that has them.
 *
 * Both are in one Kafka transaction, and so is what is noted about it in the position topic.
 */
#include <inttypes.h>
#include <stdio.h>

#include "cdc/base/fault.h"
#include "sinks/kafka/kafka.h"

enum { DEFINITION_KEY_MAX = KAFKA_NAME_MAX + 32, SCRATCH_BYTES = 4096 };

#define SCRATCH_BYTES_MAX ((size_t) 16 << 20)

bool kafka_wants_numbers(const struct sink_config *config) {
    return sink_config_find(config, "schema_topic") != NULL;
}

static bool refuse_large_definition(const struct schema_record *record, size_t bytes,
                                    const struct topic *topic, struct error *err) {
    return error_set(err, ERROR_DATA,
                     "the definition of table %.*s.%.*s, with %" PRIu32
                     " columns, is a message of %zu bytes, "
                     "and topic %s accepts at most %zu; raise max.message.bytes of the topic",
                     (int) record->schema.size, record->schema.data, (int) record->table.size,
                     record->table.data, record->column_count, bytes, topic->name, topic->message_bytes_max);
}

static bool send_definition(struct kafka_sink *kafka, const struct schema_record *record, struct error *err) {
    struct topic *topic = NULL;
    struct message_list *list = &kafka->boundary;
    if (!kafka->options.format->encode_schema(kafka->format, record, list, err) ||
        !topics_find_definitions(&kafka->topics, &topic, err))
        return false;
    const struct message *message = &list->messages[0];
    const size_t bytes = message->key.size + message->value.size;
    if (bytes > topic->message_bytes_max)
        return refuse_large_definition(record, bytes, topic, err);
    const struct outgoing outgoing = {.topic = topic->handle,
                                      .partition = RD_KAFKA_PARTITION_UA,
                                      .key = message_slice(&list->bytes, &message->key),
                                      .value = message_slice(&list->bytes, &message->value)};
    kafka->sent.bytes += bytes;
    return producer_send(&kafka->producer, &outgoing, err);
}

/* record NULL: a tombstone. */
static bool send_noted(struct kafka_sink *kafka, oid_t oid, const struct schema_record *record,
                       struct error *err) {
    char key[DEFINITION_KEY_MAX];
    struct buffer *bytes = &kafka->boundary.bytes;
    struct outgoing outgoing = {.topic = kafka->position_topic};
    snprintf(key, sizeof key, "%s" TOLD_NAME_PREFIX "%" PRIu32, kafka->options.position_key, oid);
    outgoing.key = slice_of(key);
    buffer_reset(bytes);
    if (record != NULL && !schema_record_write(record, bytes, err))
        return false;
    if (record != NULL)
        outgoing.value = buffer_slice(bytes);
    return producer_send(&kafka->producer, &outgoing, err);
}

static bool tell_definition(struct kafka_sink *kafka, const struct schema_record *record,
                            const struct relation *relation, struct error *err) {
    if (!send_definition(kafka, record, err))
        return false;
    FAULT_POINT("definition-told");
    if (!send_noted(kafka, record->oid, record, err))
        return false;
    FAULT_POINT("definition-noted");
    return told_tables_note(&kafka->told, record, relation, err);
}

bool kafka_definition_tell(struct kafka_sink *kafka, const struct change *change,
                           const struct relation *relation, struct error *err) {
    struct arena scratch AUTO(arena_release) = {0};
    struct schema_record record;
    bool is_new = false;
    if (kafka->options.schema_topic == NULL)
        return true;
    arena_init(&scratch, SCRATCH_BYTES, SCRATCH_BYTES_MAX);
    return told_tables_compare(&kafka->told, change, relation, &scratch, &record, &is_new, err) &&
           (!is_new || tell_definition(kafka, &record, relation, err));
}

bool kafka_definitions_remove(struct kafka_sink *kafka, struct error *err) {
    for (size_t i = 0; i < map_slots(&kafka->told.tables); i++) {
        const oid_t oid = told_tables_oid_at(&kafka->told, i);
        if (oid != 0 && !send_noted(kafka, oid, NULL, err))
            return false;
    }
    return true;
}
