/* SPDX-License-Identifier: Apache-2.0 */
/*
 * producer.h - the transactional producer: begin, send, commit, or be thrown away.
 *
 * Every failure is final: nothing but close is called after it. Its kind REFUSE means "perhaps fenced"
 * (kafka_error.h).
 *
 * When a connection breaks while a commit is on its way, librdkafka sends EndTxn again, and the first one may
 * still arrive: into the next transaction, which it would commit half done. So after a commit during which
 * anything was complained of, or that took long, the producer is worn: it must begin no other transaction. A
 * new one has a new epoch, which late requests of the old one do not.
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
    struct slice key;            /* data NULL: none */
    struct slice value;          /* data NULL: a tombstone */
    rd_kafka_headers_t *headers; /* taken over; NULL: none */
};

/* Fences whoever has the same transactional.id, and waits until its last transaction is decided. */
MUST_CHECK bool producer_open(struct producer *producer, const struct producer_options *options,
                              struct error *err);

/* Aborts what is open, within a bounded time. Accepts a closed one. */
void producer_close(struct producer *producer);

/* When there is no transaction yet. Not when it is worn. */
MUST_CHECK bool producer_begin(struct producer *producer, struct error *err);

/* Copies key and value. Waits while the queue is full. */
MUST_CHECK bool producer_send(struct producer *producer, const struct outgoing *message, struct error *err);

/* Serves callbacks; false when a message could not be delivered. Cheap. */
MUST_CHECK bool producer_check(struct producer *producer, struct error *err);

/* True: everything sent since begin is there for ever. */
MUST_CHECK bool producer_commit(struct producer *producer, struct error *err);
