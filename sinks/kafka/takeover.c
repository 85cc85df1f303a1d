/* SPDX-License-Identifier: Apache-2.0 */
/*
 * takeover.c - one engine at a time; the claim in the position topic says which.
 *
 * init_transactions fences every earlier producer with the transactional.id, without a condition. Two
 * engines that reopen whenever they are fenced would take the pipeline from each other forever. So an engine
 * claims the pipeline: every record that it commits to the position topic contains a random number of its
 * process. An engine that had claimed the pipeline and finds another claim has a successor and must stop. It
 * looks before init_transactions, so that it does not disturb the successor, and again after it, for a claim
 * that was being committed.
 *
 * A fenced producer alone proves nothing: a broker also fences a producer whose transaction timed out, or
 * whose id it has forgotten after a week without use. Then the claim is still ours, and a new producer
 * continues.
 */
#include <assert.h>
#include <stdlib.h>

#include "cdc/base/fault.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"
#include "sinks/kafka/kafka.h"

static bool refuse_succeeded(const struct kafka_sink *kafka, struct error *err) {
    return error_set(
        err, ERROR_REFUSE,
        "another engine has taken over pipeline %s, sink %s (topic %s has its claim); run only one",
        kafka->sink.config->pipeline, kafka->sink.config->name, kafka->options.position_topic);
}

static bool refuse_forgotten(const struct kafka_sink *kafka, struct error *err) {
    return error_set(
        err, ERROR_REFUSE,
        "another producer has fenced this one, and the position of pipeline %s, sink %s is missing "
        "from topic %s: was the pipeline dropped?",
        kafka->sink.config->pipeline, kafka->sink.config->name, kafka->options.position_topic);
}

static bool is_ours(const struct kafka_sink *kafka, const struct position_found *found) {
    return !kafka->has_claimed || (found->exists && found->record.claim == kafka->claim);
}

/*
 * An emptied topic has no claim; the engine's start then finds that the position is missing and reports it.
 */
static bool is_succeeded(const struct kafka_sink *kafka, const struct position_found *found) {
    return found->exists && !is_ours(kafka, found);
}

static bool read_position(struct kafka_sink *kafka, struct position_found *ret_found, struct error *err) {
    return position_topic_read(&kafka->options, kafka->sink.stop, ret_found, err);
}

static bool look_before(struct kafka_sink *kafka, struct error *err) {
    struct position_found found = {0};
    if (!kafka->has_claimed)
        return true;
    if (!read_position(kafka, &found, err))
        return false;
    return !is_succeeded(kafka, &found) || refuse_succeeded(kafka, err);
}

static bool open_producer(struct kafka_sink *kafka, int timeout_ms, struct error *err) {
    if (kafka->batch_bytes == 0)
        kafka->batch_bytes = KAFKA_BATCH_BYTES;
    const struct producer_options options = {.kafka = &kafka->options,
                                             .timeout_ms = timeout_ms,
                                             .batch_bytes = kafka->batch_bytes,
                                             .stop = kafka->sink.stop};
    if (!producer_open(&kafka->producer, &options, err))
        return false;
    topics_init(&kafka->topics, &kafka->options, &kafka->producer.client, kafka->batch_bytes);
    if (!position_topic_ensure(&kafka->producer.client, &kafka->options, err))
        return false;
    kafka->position_topic =
        rd_kafka_topic_new(kafka->producer.client.handle, kafka->options.position_topic, NULL);
    if (kafka->position_topic == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), "topic %s", kafka->options.position_topic);
    admin_learn_topic(&kafka->producer.client, kafka->position_topic);
    return true;
}

static bool send_position(struct kafka_sink *kafka, const struct position *position, struct error *err) {
    const struct position_record record = {
        .claim = kafka->claim, .position = *position, .has_plan = kafka->has_plan, .has_accounts = true};
    const struct position_text text = position_record_format(&record);
    const struct outgoing message = {.topic = kafka->position_topic,
                                     .key = slice_of(kafka->options.position_key),
                                     .value = slice_of(text.text)};
    FAULT_POINT("kafka-before-position");
    return producer_begin(&kafka->producer, err) && kafka_letters_note(kafka, err) &&
           accounts_send(&kafka->accounts, &kafka->producer, kafka->position_topic,
                         kafka->options.position_key, err) &&
           producer_send(&kafka->producer, &message, err);
}

static void forget_sent(struct kafka_sink *kafka) {
    kafka->sent = (struct kafka_volume){0};
    kafka->sent_whole = (struct kafka_volume){0};
}

bool kafka_commit(struct kafka_sink *kafka, const struct position *position, struct error *err) {
    if (!send_position(kafka, position, err) || !producer_commit(&kafka->producer, err))
        return kafka_judge(kafka, err);
    kafka->position = *position;
    forget_sent(kafka);
    return true;
}

/* arc4random never fails; 0 would mean no claim. */
static uint64_t new_claim(void) {
    uint64_t claim = 0;
    while (claim == 0)
        arc4random_buf(&claim, sizeof claim);
    return claim;
}

static bool claim(struct kafka_sink *kafka, struct error *err) {
    if (kafka->has_claimed)
        return true;
    if (kafka->claim == 0)
        kafka->claim = new_claim();
    FAULT_POINT("kafka-before-claim");
    if (!kafka_commit(kafka, &kafka->position, err))
        return false;
    kafka->has_claimed = true;
    return true;
}

/* Each passes over the other's records. */
static bool take_further_record(void *context, struct slice name, struct slice value, struct error *err) {
    struct kafka_sink *kafka = context;
    return accounts_take(&kafka->accounts, name, value, err) &&
           told_tables_take(&kafka->told, name, value, err) &&
           letter_keys_take(&kafka->letters, name, value, err);
}

bool kafka_take_over(struct kafka_sink *kafka, int timeout_ms, struct error *err) {
    struct position_found found = {0};
    const struct position_reader reader = {.take = take_further_record, .context = kafka};
    if (!look_before(kafka, err) || !open_producer(kafka, timeout_ms, err) ||
        !position_topic_read_all(&kafka->options, kafka->sink.stop, &reader, &found, err))
        return kafka_judge(kafka, err);
    if (is_succeeded(kafka, &found))
        return refuse_succeeded(kafka, err);
    kafka->position = found.exists ? found.record.position : (struct position){0};
    kafka->has_plan = found.exists && found.record.has_plan;
    return claim(kafka, err);
}

void kafka_let_go(struct kafka_sink *kafka) {
    topics_release(&kafka->topics);
    accounts_release(&kafka->accounts);
    told_tables_release(&kafka->told);
    letter_keys_release(&kafka->letters);
    if (kafka->position_topic != NULL)
        rd_kafka_topic_destroy(kafka->position_topic);
    kafka->position_topic = NULL;
    producer_close(&kafka->producer);
    forget_sent(kafka);
}

/*
 * Before our claim is committed nothing can be decided here; the next open finds the claim of an engine that
 * was faster. Reading the topic with a fenced producer disturbs no other engine.
 */
bool kafka_judge(struct kafka_sink *kafka, struct error *err) {
    struct position_found found = {0};
    struct error ignored = {0};
    if (err->kind != ERROR_REFUSE)
        return false;
    if (kafka->has_claimed && read_position(kafka, &found, &ignored) && !is_ours(kafka, &found))
        return found.exists ? refuse_succeeded(kafka, err) : refuse_forgotten(kafka, err);
    err->kind = ERROR_RETRY;
    return error_wrap(err, "the broker has fenced this producer, although no other engine has taken over");
}
