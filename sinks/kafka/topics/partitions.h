/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partitions.h - how many partitions a table's topic has, where they end, and which one a message goes to.
 *
 * librdkafka could choose, but says which one it chose only in a report of each delivery. The sink counts
 * what it publishes by partition, before the commit, so it chooses itself: with the functions of librdkafka,
 * by the property `partitioner`, for a key; at random for a message without a key.
 */
#pragma once

#include "cdc/base/slice.h"
#include "sinks/kafka/client/client.h"

struct topic_partitions {
    int32_t count;
    int64_t *ends; /* when the topic was looked up; of a partition that was added since: 0 */
    int32_t drawn; /* the partition for messages without a key ... */
    uint32_t left; /* ... of which so many follow, so that they fill batches */
};

typedef int32_t partitioner_fn(const rd_kafka_topic_t *topic, const void *key, size_t size, int32_t count,
                               void *topic_opaque, void *message_opaque);

struct partitioner {
    partitioner_fn *choose; /* NULL: at random, with a key too */
    bool draws;             /* a message without a key goes to any partition */
    bool draws_empty;       /* one with an empty key, too */
};

/* As the client's properties want. */
struct partitioner partitioner_of(const struct client *client);

struct topic;

/*
 * Asks for count and ends, in two requests for all of them. ERROR_RETRY: a partition has no leader, or a
 * topic that was just created is not known yet, for five seconds; or there was no answer for a minute.
 */
MUST_CHECK bool partitions_find(struct client *client, struct topic *const *topics, size_t count,
                                struct error *err);

/* Partitions that were added. Asks once; without an answer nothing changes. */
MUST_CHECK bool partitions_refresh(struct client *client, struct topic *const *topics, size_t count,
                                   struct error *err);

void partitions_release(struct topic_partitions *partitions);

/* For a message with this key; data NULL: none. */
int32_t partitions_choose(const struct partitioner *partitioner, struct topic *topic, struct slice key);
