/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_topics.c - a plain consumer of all partitions, each up to its high watermark.
 */
#include "tests/support/sink_topics.h"

#include <criterion/criterion.h>
#include <librdkafka/rdkafka.h>
#include <stdlib.h>

#include "cdc/base/clock.h"

enum { DEADLINE_MS = 30000, SLICE_MS = 100 };

const char *topics_brokers(void) {
    return getenv("PGCDC_TEST_KAFKA");
}

static rd_kafka_t *open_consumer(void) {
    static const char *const SETTINGS[][2] = {
        {"isolation.level", "read_committed"},
        {"enable.partition.eof", "true"},
        {"auto.offset.reset", "earliest"},
        {"fetch.wait.max.ms", "10"},
        {"log_level", "0"},
    };
    char reason[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", topics_brokers(), reason, sizeof reason);
    for (size_t i = 0; i < sizeof SETTINGS / sizeof *SETTINGS; i++)
        cr_assert_eq(rd_kafka_conf_set(conf, SETTINGS[i][0], SETTINGS[i][1], reason, sizeof reason),
                     RD_KAFKA_CONF_OK, "%s", reason);
    rd_kafka_t *consumer = rd_kafka_new(RD_KAFKA_CONSUMER, conf, reason, sizeof reason);
    cr_assert_not_null(consumer, "%s", reason);
    return consumer;
}

static int count_partitions(rd_kafka_t *consumer, rd_kafka_topic_t *topic) {
    const struct rd_kafka_metadata *metadata = NULL;
    cr_assert_eq(rd_kafka_metadata(consumer, 0, topic, &metadata, DEADLINE_MS), RD_KAFKA_RESP_ERR_NO_ERROR);
    int count = metadata->topics[0].partition_cnt;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

static void hand_over(const rd_kafka_message_t *message, int partition_count,
                      void (*take)(void *context, const struct topic_message *message), void *context) {
    const struct topic_message taken = {.key = message->key,
                                        .key_size = message->key_len,
                                        .value = message->payload,
                                        .value_size = message->len,
                                        .partition = message->partition,
                                        .partition_count = partition_count};
    if (take != NULL)
        take(context, &taken);
}

/* To be read: a partition of a topic, and who takes what is in it. */
struct reading {
    rd_kafka_t *consumer;
    rd_kafka_topic_t *topic;
    int partition_count;
    bool is_open; /* a transaction that nobody decides now */
    void (*take)(void *context, const struct topic_message *message);
    void *context;
};

/* An end event comes at the last stable offset: behind it a transaction may still be about to be decided. */
static bool is_end(const struct reading *reading, const rd_kafka_message_t *message) {
    int64_t low = 0, high = 0;
    rd_kafka_get_watermark_offsets(reading->consumer, rd_kafka_topic_name(message->rkt), message->partition,
                                   &low, &high);
    return message->err == RD_KAFKA_RESP_ERR__PARTITION_EOF && (reading->is_open || message->offset >= high);
}

static long read_partition(const struct reading *reading, int partition) {
    long count = 0;
    int64_t deadline_ms = clock_now_ms() + DEADLINE_MS;
    cr_assert_eq(rd_kafka_consume_start(reading->topic, partition, RD_KAFKA_OFFSET_BEGINNING), 0);
    for (bool at_end = false; !at_end;) {
        cr_assert_lt(clock_now_ms(), deadline_ms, "%s: the high watermark is not reached",
                     rd_kafka_topic_name(reading->topic));
        rd_kafka_message_t *message = rd_kafka_consume(reading->topic, partition, SLICE_MS);
        if (message == NULL)
            continue;
        at_end = is_end(reading, message);
        if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR) {
            hand_over(message, reading->partition_count, reading->take, reading->context);
            count++;
        }
        rd_kafka_message_destroy(message);
    }
    rd_kafka_consume_stop(reading->topic, partition);
    return count;
}

static long read_topic(const char *name, struct reading reading) {
    long count = 0;
    reading.consumer = open_consumer();
    reading.topic = rd_kafka_topic_new(reading.consumer, name, NULL);
    reading.partition_count = count_partitions(reading.consumer, reading.topic);
    for (int i = 0; i < reading.partition_count; i++)
        count += read_partition(&reading, i);
    rd_kafka_topic_destroy(reading.topic);
    rd_kafka_destroy(reading.consumer);
    return count;
}

long topics_read_committed(const char *name, void (*take)(void *context, const struct topic_message *message),
                           void *context) {
    return read_topic(name, (struct reading){.take = take, .context = context});
}

long topics_count_before_open(const char *topic) {
    return read_topic(topic, (struct reading){.is_open = true});
}

long topics_count_committed(const char *topic) {
    return topics_read_committed(topic, NULL, NULL);
}

void topics_create_narrow(const char *name, const char *max_message_bytes) {
    char reason[512];
    size_t count = 0;
    rd_kafka_t *client = open_consumer();
    rd_kafka_queue_t *queue = rd_kafka_queue_new(client);
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(name, 1, 1, reason, sizeof reason);
    rd_kafka_NewTopic_set_config(topic, "max.message.bytes", max_message_bytes);
    rd_kafka_CreateTopics(client, &topic, 1, NULL, queue);
    rd_kafka_event_t *answer = rd_kafka_queue_poll(queue, DEADLINE_MS);
    cr_assert_not_null(answer);
    const rd_kafka_topic_result_t *const *results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(answer), &count);
    cr_assert_eq(rd_kafka_topic_result_error(results[0]), RD_KAFKA_RESP_ERR_NO_ERROR);
    rd_kafka_event_destroy(answer);
    rd_kafka_NewTopic_destroy(topic);
    rd_kafka_queue_destroy(queue);
    rd_kafka_destroy(client);
}

int64_t topics_high_watermark(const char *topic) {
    int64_t low = 0, high = 0;
    rd_kafka_t *client = open_consumer();
    if (rd_kafka_query_watermark_offsets(client, topic, 0, &low, &high, DEADLINE_MS) !=
        RD_KAFKA_RESP_ERR_NO_ERROR)
        high = 0;
    rd_kafka_destroy(client);
    return high;
}
