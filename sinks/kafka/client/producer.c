/* SPDX-License-Identifier: Apache-2.0 */
/*
 * producer.c - librdkafka's transactional calls, each in short slices, so that a stop is noticed.
 */
#include "sinks/kafka/client/producer.h"

#include <assert.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "sinks/kafka/client/kafka_error.h"

enum {
    SLICE_MS = 200,
    INIT_MAX_MS =
        60000, /* the coordinator may have to end the last transaction on a broker that is just restarting */
    ABORT_MAX_MS = 2000,
    QUEUE_WAIT_MS = 20,
    DELIVERY_TURNS = 1000,      /* of a millisecond each, before librdkafka's commit waits by itself */
    BATCH_MESSAGES_MAX = 10000, /* librdkafka's default */
    IDLE_TURNS_MAX = 10,
    REST_FACTOR = 2, /* writing the markers takes about twice as long as the coordinator's answer */
    REST_MIN_US = 1000,
    REST_MAX_US = 20000,
    COMMIT_LONG_US = 5000000, /* far below the timeouts after which librdkafka repeats a request */
};

/* ---- opening ---- */

static bool init_transactions(struct producer *producer, struct error *err) {
    struct client *client = &producer->client;
    int64_t deadline_ms = clock_now_ms() + INIT_MAX_MS;
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_init_transactions(client->handle, SLICE_MS);
        if (error == NULL)
            return true;
        if (!rd_kafka_error_is_retriable(error))
            return kafka_error_take(err, error, "opening the producer");
        rd_kafka_error_destroy(error);
        client_poll(client, 0);
        if (client_is_stopped(client))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (!client_check(client, err))
            return error_wrap(err, "opening the producer");
        if (clock_now_ms() >= deadline_ms)
            return client_timed_out(client, err, "opening the producer");
    }
}

bool producer_open(struct producer *producer, const struct producer_options *options, struct error *err) {
    char timeout[16], batch[24];
    const struct client_setting settings[] = {{"transactional.id", options->kafka->transactional_id},
                                              {"transaction.timeout.ms", timeout},
                                              {"batch.size", batch},
                                              {"delivery.report.only.error", "true"},
                                              {NULL, NULL}};
    const struct client_options client_options = {
        .type = RD_KAFKA_PRODUCER, .settings = settings, .stop = options->stop};
    snprintf(timeout, sizeof timeout, "%d", options->timeout_ms);
    snprintf(batch, sizeof batch, "%zu", options->batch_bytes);
    *producer = (struct producer){.timeout_ms = options->timeout_ms, .batch_bytes = options->batch_bytes};
    if (!client_open(&producer->client, options->kafka, &client_options, err))
        return false;
    FAULT_POINT("kafka-before-init");
    if (!init_transactions(producer, err))
        return false;
    FAULT_POINT("kafka-after-init");
    return true;
}

void producer_close(struct producer *producer) {
    rd_kafka_t *handle = producer->client.handle;
    char reason[64];
    if (handle == NULL)
        return;
    if (producer->in_transaction && rd_kafka_fatal_error(handle, reason, sizeof reason) == 0) {
        rd_kafka_error_t *error = rd_kafka_abort_transaction(handle, ABORT_MAX_MS);
        if (error != NULL)
            rd_kafka_error_destroy(
                error); /* ignored: the next init_transactions or the coordinator aborts it */
    }
    client_close(&producer->client);
    *producer = (struct producer){0};
}

/* ---- failures ---- */

static bool undelivered(const struct producer *producer, struct error *err) {
    return kafka_error_set(err, producer->client.undelivered.code, "topic %s, a message of %zu bytes",
                           producer->client.undelivered.topic, producer->client.undelivered.bytes);
}

bool producer_check(struct producer *producer, struct error *err) {
    client_poll(&producer->client, 0);
    rd_kafka_resp_err_t code = producer->client.undelivered.code;
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || undelivered(producer, err);
}

/* A failed transaction accepts no more messages; reports the reason, as the commit would. */
static bool explain_refusal(struct producer *producer, rd_kafka_resp_err_t code, struct error *err) {
    char reason[512];
    if (!producer_check(producer, err))
        return false;
    rd_kafka_resp_err_t fatal = rd_kafka_fatal_error(producer->client.handle, reason, sizeof reason);
    if (fatal != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, kafka_error_kind(fatal), "the producer: %s", reason);
    if (code != RD_KAFKA_RESP_ERR__STATE)
        return kafka_error_set(err, code, "sending");
    rd_kafka_error_t *error = rd_kafka_commit_transaction(producer->client.handle, 0);
    if (error != NULL)
        return kafka_error_take(err, error, "the transaction");
    return error_set(err, ERROR_RETRY, "the transaction ended before it was committed");
}

/* ---- a transaction ---- */

/*
 * The coordinator answers a commit before its markers are written, and until then refuses the next
 * transaction's first request, which librdkafka repeats only after 20 ms. A short pause is faster.
 */
static void producer_rest(const struct producer *producer) {
    int64_t left_us = producer->rested_us - clock_now_us();
    if (left_us > 0)
        clock_pause_us(left_us);
}

static void plan_rest(struct producer *producer, int64_t answer_us) {
    int64_t rest_us = answer_us * REST_FACTOR;
    if (rest_us < REST_MIN_US)
        rest_us = REST_MIN_US;
    if (rest_us > REST_MAX_US)
        rest_us = REST_MAX_US;
    producer->rested_us = clock_now_us() + rest_us;
}

bool producer_begin(struct producer *producer, struct error *err) {
    if (producer->in_transaction)
        return true;
    assert(!producer->is_worn);
    producer_rest(producer);
    rd_kafka_error_t *error = rd_kafka_begin_transaction(producer->client.handle);
    if (error != NULL)
        return kafka_error_take(err, error, "beginning a transaction");
    producer->in_transaction = true;
    producer->began_ms = clock_now_ms();
    producer->sent_messages = producer->sent_bytes = 0;
    return true;
}

static rd_kafka_resp_err_t send_plain(const struct outgoing *message) {
    int result = rd_kafka_produce(message->topic, message->partition, RD_KAFKA_MSG_F_COPY,
                                  (void *) (uintptr_t) message->value.data, message->value.size,
                                  message->key.data, message->key.size, NULL);
    return result == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : rd_kafka_last_error();
}

static rd_kafka_resp_err_t send_with_headers(const struct producer *producer,
                                             const struct outgoing *message) {
    void *value = (void *) (uintptr_t) message->value.data;
    void *key = (void *) (uintptr_t) message->key.data;
    return rd_kafka_producev(
        producer->client.handle, RD_KAFKA_V_RKT(message->topic), RD_KAFKA_V_PARTITION(message->partition),
        RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_VALUE(value, message->value.size),
        RD_KAFKA_V_KEY(key, message->key.size), RD_KAFKA_V_HEADERS(message->headers), RD_KAFKA_V_END);
}

/*
 * Full batches are sent without a flush. When none is being sent, the queue is full of incomplete batches,
 * which a flush sends.
 */
static void make_room(struct producer *producer) {
    rd_kafka_t *handle = producer->client.handle;
    int before = rd_kafka_outq_len(handle);
    client_poll(&producer->client, QUEUE_WAIT_MS);
    if (rd_kafka_outq_len(handle) >= before)
        rd_kafka_flush(handle, QUEUE_WAIT_MS);
}

static bool drop_headers(const struct outgoing *message) {
    if (message->headers != NULL)
        rd_kafka_headers_destroy(message->headers);
    return false;
}

bool producer_send(struct producer *producer, const struct outgoing *message, struct error *err) {
    assert(producer->in_transaction);
    for (;;) {
        rd_kafka_resp_err_t code =
            message->headers == NULL ? send_plain(message) : send_with_headers(producer, message);
        if (code == RD_KAFKA_RESP_ERR_NO_ERROR) {
            producer->sent_messages++;
            producer->sent_bytes += message->key.size + message->value.size;
            return true;
        }
        if (code != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            return explain_refusal(producer, code, err) || drop_headers(message);
        if (client_is_stopped(&producer->client)) {
            error_set(err, ERROR_STOPPED, "stopped");
            return drop_headers(message);
        }
        make_room(producer);
        if (!producer_check(producer, err))
            return drop_headers(message);
    }
}

/* The reason why messages were not delivered is more useful than the commit's own error. */
static bool explain_commit(struct producer *producer, rd_kafka_error_t *error, struct error *err) {
    client_poll(&producer->client, 0);
    if (kafka_error_kind(rd_kafka_error_code(error)) != ERROR_RETRY ||
        producer->client.undelivered.code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_take(err, error, "committing");
    rd_kafka_error_destroy(error);
    return undelivered(producer, err);
}

static bool commit_in_slices(struct producer *producer, struct error *err) {
    for (;;) {
        rd_kafka_error_t *error = rd_kafka_commit_transaction(producer->client.handle, SLICE_MS);
        if (error == NULL)
            return true;
        if (!rd_kafka_error_is_retriable(error))
            return explain_commit(producer, error, err);
        rd_kafka_error_destroy(error);
        if (rd_kafka_outq_len(producer->client.handle) > 0)
            client_poll(&producer->client, SLICE_MS); /* not always in a flush, see wait_delivered */
        if (!producer_check(producer, err))
            return false;
        if (client_is_stopped(&producer->client))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (clock_now_ms() - producer->began_ms > producer->timeout_ms + INIT_MAX_MS)
            return client_timed_out(&producer->client, err, "committing");
    }
}

/* How many messages fill a batch, by their average size in this transaction. */
static uint64_t batch_messages(const struct producer *producer) {
    uint64_t mean_bytes = producer->sent_bytes / (producer->sent_messages + 1) + 1;
    uint64_t fitting = producer->batch_bytes / mean_bytes;
    return fitting < BATCH_MESSAGES_MAX ? fitting : BATCH_MESSAGES_MAX;
}

/*
 * librdkafka's commit waits for the same, but looks only every 10 ms, because no delivery reports are
 * requested. And during a flush its thread spins while a partition has a request in flight and more to send:
 * an idempotent producer sends the next one only after the answer. So full batches are sent without a flush
 * first, and only incomplete ones are flushed.
 */
static void wait_delivered(struct producer *producer) {
    rd_kafka_t *handle = producer->client.handle;
    const uint64_t few = batch_messages(producer);
    int least = INT_MAX, idle_turns = 0;
    for (int i = 0; i < DELIVERY_TURNS && !client_is_stopped(&producer->client); i++) {
        int left = rd_kafka_outq_len(handle);
        if (idle_turns < IDLE_TURNS_MAX) /* otherwise no full batch was left */
            idle_turns = left < least ? 0 : idle_turns + 1;
        least = left < least ? left : least;
        if ((uint64_t) left > few && idle_turns < IDLE_TURNS_MAX)
            client_poll(&producer->client, 1);
        else if (rd_kafka_flush(handle, 1) != RD_KAFKA_RESP_ERR__TIMED_OUT)
            return;
    }
}

bool producer_commit(struct producer *producer, struct error *err) {
    client_poll(&producer->client, 0);
    unsigned complaints = producer->client.complaint_count;
    int64_t start_us = clock_now_us();
    FAULT_POINT("kafka-before-commit");
    wait_delivered(producer);
    int64_t delivered_us = clock_now_us();
    if (!commit_in_slices(producer, err))
        return false;
    int64_t committed_us = clock_now_us();
    producer->in_transaction = false;
    FAULT_POINT("kafka-after-commit");
    plan_rest(producer, committed_us - delivered_us);
    client_poll(&producer->client, 0);
    producer->is_worn =
        producer->client.complaint_count != complaints || committed_us - start_us > COMMIT_LONG_US;
    return true;
}
