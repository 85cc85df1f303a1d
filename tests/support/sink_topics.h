/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sink_topics.h - the Kafka that tests of the Kafka sink write into, seen from outside the sink.
 */
#pragma once

#include <stddef.h>
#include <stdint.h>

/* PGCDC_TEST_KAFKA, HOST:PORT[,HOST:PORT...], or NULL: there is no Kafka to test against. */
const char *topics_brokers(void);

struct topic_message {
    const char *key; /* NULL: none */
    size_t key_size;
    const char *value; /* NULL: a tombstone */
    size_t value_size;
    int partition;
    int partition_count;
};

/* Everything that a consumer which reads committed is given, partition after partition; returns how many. */
long topics_read_committed(const char *topic,
                           void (*take)(void *context, const struct topic_message *message), void *context);

/* The same while a transaction is open, whose messages may have been sent: only what stands before it. */
long topics_count_before_open(const char *topic);

/*
 * How many messages of the topic a consumer that reads committed is given, from first to last; 0 when there
 * is no topic.
 */
long topics_count_committed(const char *topic);

/* Makes a topic of one partition that takes no larger batches. */
void topics_create_narrow(const char *topic, const char *max_message_bytes);

/* Where the next message of partition 0 will stand, committed or not; 0 when there is no topic. */
int64_t topics_high_watermark(const char *topic);
