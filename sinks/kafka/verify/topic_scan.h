/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_scan.h - the committed records of a topic, each partition's in its order, up to given offsets.
 *
 * The end of a partition is an offset, and not the last record that is visible now: what is below it may
 * belong to a transaction that is committed, but not yet visible.
 */
#pragma once

#include "sinks/kafka/verify/read_rate.h"
#include "sinks/kafka/verify/topic_table.h"

typedef bool topic_message_taker(void *context, const rd_kafka_message_t *message, struct error *err);

/* The client is a consumer that reads committed. */
MUST_CHECK bool topic_scan(struct client *client, const struct topic_table *table, struct read_rate *rate,
                           topic_message_taker *take, void *context, struct error *err);
