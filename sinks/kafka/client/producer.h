/* SPDX-License-Identifier: Apache-2.0 */
/*
 * producer.h - the transactional producer: begin, send, commit; discarded after a failure.
 *
 * Every failure is final: only close is called after it. The kind REFUSE means "perhaps fenced"
 * (kafka_error.h).
 *
 * When a connection breaks during a commit, librdkafka sends EndTxn again, and the first request may still
 * arrive later: in the next transaction, which it would commit incomplete. So after a commit during which
 * there was a complaint, or which took long, the producer is worn: it must not begin another transaction. A
 * new producer has a new epoch, so late requests of the old one are refused.
 */
#pragma once

#include "sinks/kafka/client/client.h"

struct producer {
    struct client client;
    bool in_transaction;
    bool is_worn; /* it must not begin another transaction */
    int64_t began_ms;
    int64_t rested_us; /* the next transaction begins no earlier */
    int timeout_ms;    /* transaction.timeout.ms */
    size_t batch_bytes;
    uint64_t sent_messages; /* in the open transaction */
    uint64_t sent_bytes;    /* of their keys and values */
};

struct producer_options {
    const struct kafka_options *kafka;
    int timeout_ms;
    size_t batch_bytes;
    const atomic_bool *stop;
};

struct outgoing {
    rd_kafka_topic_t *topic;
    int32_t partition;           /* RD_KAFKA_PARTITION_UA: as librdkafka chooses, by the key */
    struct slice key;            /* data NULL: none */
    struct slice value;          /* data NULL: a tombstone */
    rd_kafka_headers_t *headers; /* owned by producer_send from here on; NULL: none */
};

/*
 * Fences every earlier producer with the same transactional.id, and waits until its last transaction is
 * committed or aborted.
 */
MUST_CHECK bool producer_open(struct producer *producer, const struct producer_options *options,
                              struct error *err);

/* Aborts an open transaction, within a bounded time. Accepts a closed producer. */
void producer_close(struct producer *producer);

/* Begins a transaction if none is open. The producer must not be worn. */
MUST_CHECK bool producer_begin(struct producer *producer, struct error *err);

/* Copies key and value. Waits while the queue is full. */
MUST_CHECK bool producer_send(struct producer *producer, const struct outgoing *message, struct error *err);

/* Serves callbacks; false when a message could not be delivered. Cheap. */
MUST_CHECK bool producer_check(struct producer *producer, struct error *err);

/* True: everything sent since begin is committed and durable. */
MUST_CHECK bool producer_commit(struct producer *producer, struct error *err);
