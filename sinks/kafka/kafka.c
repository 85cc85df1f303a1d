/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka.c - changes into topics of Apache Kafka, exactly once for consumers that read committed.
 *
 * A commit is a Kafka transaction that holds the messages of whole source transactions and, last, the
 * position, a record in a compacted topic (position_topic.h). open fences the previous producer (takeover.c)
 * and returns the position that was committed last, even if its answer was lost. After any failure the
 * producer is discarded, because its state is unknown.
 *
 * A source transaction that is too large for one Kafka transaction is committed in parts by write. This is
 * the only exception to "nothing is visible before commit": the position of a part says how many changes of
 * that transaction are published. The initial copy is never split, because it could not continue from a lost
 * snapshot: it is one Kafka transaction with its own timeout. Of a copy in chunks each chunk is one
 * (chunks.c); while a table without a key is a large chunk, all transactions have that timeout.
 */
#include "sinks/kafka/kafka.h"

#include <assert.h>
#include <inttypes.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "sinks/kafka/client/acl_command.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"
#include "sinks/kafka/verify/topic_comparison.h"
#include "sinks/types.h"

enum {
    MESSAGES_BYTES_MAX = 1 << 30,
    AGE_PARTS = 4, /* a transaction is split after a quarter of transaction.timeout.ms */
};

/* ---- open and close ---- */

static bool make_format(struct kafka_sink *kafka, struct error *err) {
    const struct format_options options = {.config = kafka->sink.config,
                                           .tally = kafka->options.transaction_topic != NULL ? &kafka->tally
                                                                                             : NULL};
    buffer_init(&kafka->messages.bytes, MESSAGES_BYTES_MAX);
    buffer_init(&kafka->boundary.bytes, MESSAGES_BYTES_MAX);
    return kafka->options.format->create(&options, &kafka->format, err);
}

static bool kafka_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    kafka->copying = false;
    kafka->has_plan = false;
    kafka->has_large_chunk = false;
    kafka_plan_init(&kafka->plan);
    if (!kafka_options_read(&kafka->options, sink->config, err) || !make_format(kafka, err) ||
        !kafka_take_over(kafka, kafka->options.transaction_timeout_ms, err) ||
        !kafka_letters_allowed(kafka, err))
        return false;
    kafka->whole_lsn = kafka->position.end_lsn;
    *ret_position = kafka->position;
    return true;
}

static void kafka_close(struct sink *sink) {
    struct kafka_sink *kafka = kafka_of(sink);
    kafka_let_go(kafka);
    if (kafka->options.format != NULL)
        kafka->options.format->free(kafka->format);
    kafka->format = NULL;
    buffer_release(&kafka->messages.bytes);
    buffer_release(&kafka->boundary.bytes);
    transaction_tally_release(&kafka->tally);
    kafka_plan_release(&kafka->plan);
}

/*
 * Called between two Kafka transactions: nothing is rolled back, and the stored position must be the one
 * committed last.
 */
static bool renew_producer(struct kafka_sink *kafka, int timeout_ms, struct error *err) {
    const struct position before = kafka->position;
    const bool has_plan = kafka->has_plan; /* perhaps not stored yet */
    assert(!kafka->producer.in_transaction);
    kafka_let_go(kafka);
    if (!kafka_take_over(kafka, timeout_ms, err))
        return false;
    kafka->has_plan = has_plan;
    if (kafka->position.end_lsn != before.end_lsn || kafka->position.index != before.index)
        return error_set(err, ERROR_RETRY, "the position in topic %s has changed",
                         kafka->options.position_topic);
    return true;
}

bool kafka_prepare_producer(struct kafka_sink *kafka, struct error *err) {
    const bool is_long = kafka->has_plan ? kafka->has_large_chunk : kafka->copying;
    int timeout_ms = is_long ? kafka->options.copy_timeout_ms : kafka->options.transaction_timeout_ms;
    const struct producer *producer = &kafka->producer;
    if (producer->in_transaction || (!producer->is_worn && producer->timeout_ms == timeout_ms))
        return true;
    return renew_producer(kafka, timeout_ms, err);
}

/* ---- the initial copy ---- */

/*
 * Fails with a clear error before the broker ends the transaction; after that the engine would retry without
 * success.
 */
static bool copy_check_age(const struct kafka_sink *kafka, struct error *err) {
    const struct producer *producer = &kafka->producer;
    int64_t age_ms = producer->in_transaction ? kafka->now_ms - producer->began_ms : 0;
    if (age_ms < producer->timeout_ms - producer->timeout_ms / 10)
        return true;
    return error_set(err, ERROR_CONFIG,
                     "%s is one Kafka transaction and does not end within %s, %d; "
                     "raise it, and "
                     "transaction.max.timeout.ms of the brokers to at least that",
                     kafka->has_plan ? "a chunk of the copy" : "the initial copy",
                     kafka->has_plan && !kafka->has_large_chunk ? "transaction.timeout.ms"
                                                                : "copy_timeout_ms",
                     producer->timeout_ms);
}

/* ---- splitting ---- */

static bool is_old(const struct kafka_sink *kafka) {
    const struct producer *producer = &kafka->producer;
    return kafka->now_ms - producer->began_ms >= producer->timeout_ms / AGE_PARTS;
}

static bool is_full(const struct kafka_sink *kafka, uint64_t changes, uint64_t bytes) {
    return changes >= kafka->options.transaction_changes || bytes >= kafka->options.transaction_bytes ||
           is_old(kafka);
}

/*
 * The limits apply to the whole source transactions of a group together, and separately to one source
 * transaction. So a source transaction within the limits is never split because of those before it, and a
 * Kafka transaction is at most twice as large.
 */
static bool must_split_before(const struct kafka_sink *kafka, const struct change *change) {
    const struct kafka_volume *sent = &kafka->sent, *whole = &kafka->sent_whole;
    if (!kafka->producer.in_transaction)
        return false;
    if (change->kind == CHANGE_BEGIN)
        return is_full(kafka, sent->changes, sent->bytes);
    return is_full(kafka, sent->changes - whole->changes, sent->bytes - whole->bytes);
}

/*
 * Commits the messages sent before the change. The position of a part refers to the end of the whole
 * transaction before it.
 */
static bool split_if_due(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    struct position position = kafka->position;
    if (!position_exists(&position) || !must_split_before(kafka, change))
        return true;
    position.end_lsn = kafka->whole_lsn;
    position.commit_lsn = change->index > 0 ? change->transaction->commit_lsn : 0;
    position.index = change->index;
    if (change->index > 0 && !kafka_transaction_split(kafka, err))
        return false;
    FAULT_POINT("kafka-before-split");
    if (!kafka_commit(kafka, &position, err))
        return false;
    FAULT_POINT("kafka-after-split");
    return kafka_prepare_producer(kafka, err);
}

/* ---- write and commit ---- */

static bool write_streamed(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    return split_if_due(kafka, change, err) && kafka_publish(kafka, change, err);
}

static bool write_read(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    kafka->plan.head.row_lsn = change->lsn;
    kafka->plan.head.row_index = change->index + 1;
    return kafka_publish(kafka, change, err);
}

static bool write_commit(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    if (!kafka_transaction_end(kafka, err))
        return false;
    kafka->whole_lsn = change->end_lsn;
    kafka->sent_whole = kafka->sent;
    return true;
}

static bool write_change(struct kafka_sink *kafka, const struct change *change, struct error *err) {
    switch (change->kind) {
    case CHANGE_READ:
        return write_read(kafka, change, err);
    case CHANGE_INSERT:
    case CHANGE_UPDATE:
    case CHANGE_DELETE:
    case CHANGE_TRUNCATE:
        return write_streamed(kafka, change, err);
    case CHANGE_COMMIT:
        return write_commit(kafka, change, err);
    case CHANGE_BEGIN:
        kafka_transaction_start(kafka, change);
        return split_if_due(kafka, change, err);
    case CHANGE_MESSAGE:
        return true;
    }
    return error_set(err, ERROR_PROTOCOL, "unknown kind of change");
}

/* A copied row belongs to no transaction. */
static bool name_change(const struct change *change, struct error *err) {
    if (err->kind != ERROR_DATA || change->kind == CHANGE_READ)
        return false;
    const struct lsn_text lsn = lsn_format(transaction_named_lsn(change->transaction));
    error_transaction(err, change->transaction->commit_lsn);
    if (change->kind == CHANGE_BEGIN || change->kind == CHANGE_COMMIT)
        return error_wrap(err, "the transaction that commits at %s", lsn.text);
    return error_wrap(err, "change %" PRIu64 " of the transaction that commits at %s", change->index,
                      lsn.text);
}

/* Rows of a copy that come out of an archive follow a Begin. */
static bool are_of_a_copy(const struct change *changes, size_t count) {
    const size_t first = count > 1 && changes[0].kind == CHANGE_BEGIN ? 1 : 0;
    return count > first && changes[first].kind == CHANGE_READ;
}

static bool write_all(struct kafka_sink *kafka, const struct sink_span *span, struct error *err) {
    const struct change *changes = span->changes + span->present;
    const size_t count = span->count - span->present;
    kafka->now_us = clock_unix_us();
    kafka->now_ms = clock_now_ms();
    kafka->copying = are_of_a_copy(changes, count);
    if (!kafka_prepare_producer(kafka, err) ||
        (!kafka->producer.in_transaction && !topics_refresh(&kafka->topics, kafka->now_ms, err)) ||
        !topics_meet(&kafka->topics, changes, count, err))
        return false;
    for (size_t i = 0; i < span->present; i++)
        if (!kafka_transaction_count_again(kafka, &span->changes[i], err))
            return name_change(&span->changes[i], err);
    for (size_t i = 0; i < count; i++)
        if (!write_change(kafka, &changes[i], err))
            return name_change(&changes[i], err);
    if (kafka->copying && !copy_check_age(kafka, err))
        return false;
    return producer_check(&kafka->producer, err);
}

static bool kafka_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    if (!write_all(kafka, span, err)) {
        if (kafka->topics.smallest_bytes != 0)
            kafka->batch_bytes = kafka->topics.smallest_bytes;
        return kafka_judge(kafka, err);
    }
    FAULT_POINT("kafka-after-write");
    return true;
}

static bool check_position(const struct kafka_sink *kafka, const struct position *position,
                           struct error *err) {
    if (position->end_lsn >= kafka->position.end_lsn)
        return true;
    return error_set(err, ERROR_REFUSE, "the position would go back from %s to %s",
                     lsn_format(kafka->position.end_lsn).text, lsn_format(position->end_lsn).text);
}

/* A commit in Kafka is always durable. */
static bool kafka_commit_span(struct sink *sink, const struct position *position, enum commit_wait wait,
                              struct position *ret_durable, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    *ret_durable = kafka->position;
    if (wait == COMMIT_ASK)
        return true;
    assert(position_exists(position));
    if (!check_position(kafka, position, err))
        return false;
    kafka->copying = kafka->copying && kafka->producer.in_transaction;
    if (!kafka_prepare_producer(kafka, err) ||
        (kafka->copying && !kafka->has_plan && !kafka_plan_send_place(kafka, err)) ||
        !kafka_commit(kafka, position, err))
        return kafka_judge(kafka, err);
    kafka->copying = false;
    kafka->whole_lsn = position->end_lsn;
    *ret_durable = *position;
    return true;
}

/* ---- from outside ---- */

static bool kafka_look(struct sink *sink, struct sink_view *ret_view, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    struct position_found found = {0};
    struct letter_keys letters AUTO(letter_keys_release) = {0};
    const struct position_reader reader = {.take = letter_keys_take, .context = &letters};
    if (!kafka_options_read(&kafka->options, sink->config, err))
        return false;
    if (kafka->options.dead_letter_topic != NULL
            ? !position_topic_read_all(&kafka->options, sink->stop, &reader, &found, err)
            : !position_topic_read(&kafka->options, sink->stop, &found, err))
        return false;
    *ret_view = (struct sink_view){.dead.skipped = letters.skipped};
    letter_keys_total(&letters, &ret_view->dead.failed, &ret_view->dead.waiting);
    if (found.exists) {
        ret_view->position = found.record.position;
        ret_view->age_ms = found.age_ms;
    }
    return true;
}

/* The right to delete it is needed only here. */
static bool delete_position_topic(struct kafka_sink *kafka, struct error *err) {
    const struct kafka_options *options = &kafka->options;
    const char *topic = options->position_topic;
    if (admin_delete_topic(&kafka->producer.client, topic, err))
        return true;
    if (!kafka_error_is_right(err))
        return false;
    error_set(err, ERROR_CONFIG, "topic %s holds no position any more, but the right to delete it is missing",
              topic);
    return error_remedy(err, "%s", acl_command(options->config, "--operation Delete", "--topic", topic).text);
}

/*
 * Fences an engine that still runs and writes a tombstone. Then deletes the topic if it has the default name
 * and holds no other sink's position.
 */
static bool forget(struct kafka_sink *kafka, struct error *err) {
    struct position_found found = {0};
    const struct kafka_options *options = &kafka->options;
    const struct position_reader reader = {.take = kafka_plan_take_ids, .context = &kafka->plan};
    kafka_plan_init(&kafka->plan);
    if (!kafka_take_over(kafka, options->transaction_timeout_ms, err) ||
        !position_topic_read_all(options, kafka->sink.stop, &reader, &found, err))
        return false;
    const struct outgoing tombstone = {.topic = kafka->position_topic,
                                       .key = slice_of(options->position_key)};
    if (!producer_begin(&kafka->producer, err) || !producer_send(&kafka->producer, &tombstone, err) ||
        !kafka_plan_remove(kafka, err) ||
        !accounts_remove(&kafka->accounts, &kafka->producer, kafka->position_topic, options->position_key,
                         err) ||
        !kafka_definitions_remove(kafka, err) || !kafka_letters_remove(kafka, err) ||
        !producer_commit(&kafka->producer, err))
        return false;
    return !options->owns_position_topic || found.has_others || delete_position_topic(kafka, err);
}

static bool kafka_drop(struct sink *sink, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    bool exists = false;
    if (!kafka_options_read(&kafka->options, sink->config, err) ||
        !position_topic_exists(&kafka->options, sink->stop, &exists, err))
        return false;
    bool dropped = !exists || forget(kafka, err);
    kafka_close(sink);
    return dropped;
}

static bool kafka_validate(const struct sink_config *config, struct error *err) {
    struct kafka_options options;
    struct format *format = NULL;
    if (!kafka_options_read(&options, config, err))
        return false;
    const struct format_options format_options = {.config = config};
    if (!options.format->create(&format_options, &format, err))
        return false;
    options.format->free(format);
    return client_check_properties(config, err);
}

static const struct sink_admin_ops KAFKA_ADMIN = {
    .look = kafka_look,
    .check = kafka_check,
    .drop = kafka_drop,
    .find_held = kafka_find_held,
    .compare = topic_comparison_open,
    .dead = &KAFKA_DEAD,
};

const struct sink_ops sink_kafka = {
    .type = "kafka",
    .options = KAFKA_OPTIONS,
    .size = sizeof(struct kafka_sink),
    .stores_position = true,
    .takes_text_only = true,
    .appends = true,
    .splits = true,
    .wants_numbers = kafka_wants_numbers,
    .validate = kafka_validate,
    .is_secret = client_is_secret,
    .open = kafka_open,
    .write = kafka_write,
    .commit = kafka_commit_span,
    .close = kafka_close,
    .chunk = &KAFKA_CHUNK,
    .admin = &KAFKA_ADMIN,
};
