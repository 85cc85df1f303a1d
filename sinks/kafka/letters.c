/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letters.c - on_error: dead_letter: a change with a message that its topic does not accept goes to the
 * dead-letter topic, and so do later changes that have a key of it.
 *
 * A letter is all messages of a change: consumers get all of them later, or none. Each is a record with the
 * message's key, value and headers, unchanged, and with headers about the letter. A value that the
 * dead-letter topic does not accept either is divided into several records, one after the other. All letters
 * are in the topic's first partition, so they are in the order of the source.
 *
 * Letters, what is noted of their keys in the position topic, and the position are one Kafka transaction. So
 * after a kill it is known exactly which keys wait.
 */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/fault.h"
#include "sinks/kafka/kafka.h"
#include "sinks/kafka/letters/letter_headers.h"

enum {
    LETTER_NAME_MAX = KAFKA_NAME_MAX + 32,
    LETTER_HEADERS_ROOM = 2048, /* names, numbers and the reason */
};

/* ---- what is noted ---- */

static bool send_note(struct kafka_sink *kafka, const char *name, const struct buffer *text,
                      struct error *err) {
    struct outgoing outgoing = {.topic = kafka->position_topic, .key = slice_of(name)};
    if (text != NULL && !buffer_ok(text))
        return error_no_memory(err);
    if (text != NULL)
        outgoing.value = buffer_slice(text);
    return producer_send(&kafka->producer, &outgoing, err);
}

static bool note_key(struct kafka_sink *kafka, struct letter_key *key, struct buffer *text,
                     struct error *err) {
    char name[LETTER_NAME_MAX];
    snprintf(name, sizeof name, "%s" LETTERS_NAME_PREFIX "/%" PRIu64, kafka->options.position_key,
             key->number);
    buffer_reset(text);
    letter_keys_write(key, text);
    if (!send_note(kafka, name, key->is_gone ? NULL : text, err))
        return false;
    key->is_changed = false;
    return true;
}

static bool note_head(struct kafka_sink *kafka, struct buffer *text, struct error *err) {
    char name[LETTER_NAME_MAX];
    snprintf(name, sizeof name, "%s" LETTERS_NAME_PREFIX, kafka->options.position_key);
    buffer_reset(text);
    letter_keys_write_head(&kafka->letters, text);
    return send_note(kafka, name, text, err);
}

bool kafka_letters_note(struct kafka_sink *kafka, struct error *err) {
    struct buffer *text = &kafka->boundary.bytes;
    if (!kafka->letters.is_changed)
        return true;
    for (struct letter_key *key = kafka->letters.all; key != NULL; key = key->next)
        if (key->is_changed && !note_key(kafka, key, text, err))
            return false;
    if (!note_head(kafka, text, err))
        return false;
    kafka->letters.is_changed = false;
    FAULT_POINT("letters-noted");
    return true;
}

bool kafka_letters_remove(struct kafka_sink *kafka, struct error *err) {
    char name[LETTER_NAME_MAX];
    struct buffer *text = &kafka->boundary.bytes;
    snprintf(name, sizeof name, "%s" LETTERS_NAME_PREFIX, kafka->options.position_key);
    for (struct letter_key *key = kafka->letters.all; key != NULL; key = key->next) {
        letter_keys_remove(&kafka->letters, key);
        if (!note_key(kafka, key, text, err))
            return false;
    }
    return kafka->letters.next == 0 || send_note(kafka, name, NULL, err);
}

bool kafka_letters_are_here(const struct kafka_sink *kafka, struct error *err) {
    const char *topic = kafka->letters.topic, *wanted = kafka->options.dead_letter_topic;
    if (kafka->letters.count == 0 || topic == NULL || (wanted != NULL && strcmp(topic, wanted) == 0))
        return true;
    error_set(err, ERROR_CONFIG, "the dead letters of sink %s are in topic %s", kafka->sink.config->name,
              topic);
    return error_remedy(
        err, "set dead_letter_topic: %s until `pgcdc dead retry` and `dead skip` have left none of them",
        topic);
}

bool kafka_letters_allowed(const struct kafka_sink *kafka, struct error *err) {
    if (kafka->options.oversized == OVERSIZED_DEAD_LETTER || kafka->letters.count == 0)
        return kafka_letters_are_here(kafka, err);
    error_set(err, ERROR_CONFIG, "sink %s has dead letters, and on_error is stop", kafka->sink.config->name);
    return error_remedy(err, "set on_error: dead_letter, and retry or skip them (`pgcdc dead list`) first");
}

/* ---- one letter ---- */

struct letter {
    struct kafka_sink *kafka;
    const struct change *change;
    struct topic *dead; /* the dead-letter topic */
    uint64_t id;
    bool failed;
    char reason[LETTER_REASON_MAX];
};

static bool refuse_more(const struct kafka_sink *kafka, const struct message *message, struct error *err) {
    error_set(err, ERROR_DATA,
              "sink %s has dead letters of %s, and no more are accepted (dead_letter_limit); the next one is "
              "of table %s.%s",
              kafka->sink.config->name, amount_count(kafka->letters.count, "key").text,
              message->relation->schema.data, message->relation->name.data);
    return error_remedy(err, "remove the reason that `pgcdc dead list` shows and run `pgcdc dead retry`, or "
                             "raise dead_letter_limit; then start again");
}

/* The key waits from this letter on, unless it does already. */
static bool mark_key(const struct letter *letter, const struct message *message, bool is_first,
                     struct error *err) {
    struct kafka_sink *kafka = letter->kafka;
    struct table_topic *table = NULL;
    if (!topics_find(&kafka->topics, message->relation, &table, err))
        return false;
    const struct slice topic = slice_of(table->topic->name);
    const struct slice bytes = message_slice(&kafka->messages.bytes, &message->key);
    struct letter_key *key = letter_keys_find(&kafka->letters, topic, bytes);
    if (key == NULL && kafka->letters.count >= kafka->options.dead_letter_limit)
        return refuse_more(kafka, message, err);
    if (key == NULL &&
        !letter_keys_add(&kafka->letters, topic, bytes, message->relation->oid, letter->id, &key, err))
        return false;
    if (key->oid != message->relation->oid)
        key->oid = 0;
    if (!is_first)
        return true;
    *(letter->failed ? &key->failed : &key->waiting) += 1;
    key->is_changed = kafka->letters.is_changed = true;
    return true;
}

static size_t own_headers_bytes(const struct message *message) {
    size_t bytes = 0;
    for (uint32_t i = 0; i < message->header_count; i++)
        bytes += message->headers[i].value.size;
    return bytes;
}

static bool refuse_key(const struct message *message, const struct topic *dead, struct error *err) {
    error_set(
        err, ERROR_DATA,
        "a change of table %s.%s cannot be a dead letter: its key has %zu bytes, and topic %s accepts %zu",
        message->relation->schema.data, message->relation->name.data, message->key.size, dead->name,
        dead->message_bytes_max);
    return error_remedy(err, "raise max.message.bytes of topic %s", dead->name);
}

static bool send_piece(const struct letter *letter, const struct letter_about *about,
                       const struct message *message, struct slice value, struct error *err) {
    const struct kafka_sink *kafka = letter->kafka;
    struct outgoing outgoing = {.topic = letter->dead->handle,
                                .partition = LETTER_PARTITION,
                                .key = message_slice(&kafka->messages.bytes, &message->key),
                                .value = value};
    outgoing.headers = letter_headers_make(about, &kafka->messages, message);
    if (outgoing.headers == NULL)
        return error_no_memory(err);
    letter->kafka->sent.bytes += outgoing.key.size + outgoing.value.size;
    return producer_send(&letter->kafka->producer, &outgoing, err);
}

/* A value that fits is one record, as it is. */
static bool send_pieces(const struct letter *letter, struct letter_about *about,
                        const struct message *message, struct error *err) {
    const struct slice value = message_slice(&letter->kafka->messages.bytes, &message->value);
    const size_t beside = message->key.size + own_headers_bytes(message) + LETTER_HEADERS_ROOM;
    if (beside + LETTER_HEADERS_ROOM > letter->dead->message_bytes_max)
        return refuse_key(message, letter->dead, err);
    const size_t room = letter->dead->message_bytes_max - beside;
    about->parts = value.size > room ? (unsigned) ((value.size + room - 1) / room) : 1;
    for (about->part = 1; about->part <= about->parts; about->part++) {
        const size_t at = (about->part - 1) * room, left = value.size - at;
        const struct slice piece = {.data = value.data != NULL ? value.data + at : NULL,
                                    .size = left < room ? left : room};
        if (!send_piece(letter, about, message, piece, err))
            return false;
        FAULT_POINT("letter-sent");
    }
    return true;
}

static bool send_letter(const struct letter *letter, struct error *err) {
    struct kafka_sink *kafka = letter->kafka;
    const struct message_list *list = &kafka->messages;
    const struct message_place place = kafka->options.format->place(letter->change);
    for (size_t i = 0; i < list->count; i++) {
        const struct message *message = &list->messages[i];
        struct table_topic *table = NULL;
        if (!topics_find(&kafka->topics, message->relation, &table, err) ||
            !mark_key(letter, message, i == 0, err))
            return false;
        struct letter_about about = {.id = letter->id,
                                     .failed = letter->failed,
                                     .reason = letter->reason,
                                     .change = letter->change,
                                     .relation = message->relation,
                                     .topic = table->topic->name,
                                     .place = place,
                                     .bytes = kafka_message_bytes(message),
                                     .message = (unsigned) i + 1,
                                     .messages = (unsigned) list->count};
        if (!send_pieces(letter, &about, message, err))
            return false;
    }
    return true;
}

/* ---- which changes ---- */

size_t kafka_message_bytes(const struct message *message) {
    return message->key.size + message->value.size + own_headers_bytes(message);
}

static bool refuse_emptied(const struct relation *relation, const struct topic *topic, struct error *err) {
    error_set(err, ERROR_DATA,
              "table %s.%s is emptied, and topic %s has a key with dead letters of several tables",
              relation->schema.data, relation->name.data, topic->name);
    return error_remedy(err,
                        "retry or skip the letters of these tables (`pgcdc dead list`), and start again");
}

/* A table was emptied, and consumers are told so: its letters are about rows that are gone. */
static bool forget_letters(struct kafka_sink *kafka, const struct relation *relation,
                           const struct topic *topic, struct error *err) {
    uint64_t count = 0;
    for (struct letter_key *key = kafka->letters.all; key != NULL; key = key->next) {
        if (key->is_gone || !slice_equal(key->topic, slice_of(topic->name)))
            continue;
        if (key->oid == 0)
            return refuse_emptied(relation, topic, err);
        if (key->oid != relation->oid)
            continue;
        count += key->failed + key->waiting;
        letter_keys_remove(&kafka->letters, key);
    }
    if (count > 0)
        buffer_printf(&kafka->sink.news,
                      "table %s.%s was emptied: %" PRIu64 " of its dead letters are moot\n",
                      relation->schema.data, relation->name.data, count);
    return true;
}

static bool judge_message(struct letter *letter, const struct message *message, bool *ret_waits,
                          struct error *err) {
    struct kafka_sink *kafka = letter->kafka;
    struct table_topic *table = NULL;
    const size_t bytes = kafka_message_bytes(message);
    if (!topics_find(&kafka->topics, message->relation, &table, err))
        return false;
    if (letter->change->kind == CHANGE_TRUNCATE)
        return forget_letters(kafka, message->relation, table->topic, err);
    if (bytes > table->topic->message_bytes_max && !letter->failed) {
        letter->failed = true;
        snprintf(letter->reason, sizeof letter->reason,
                 "a message of %zu bytes, and topic %s accepts at most %zu", bytes, table->topic->name,
                 table->topic->message_bytes_max);
    }
    *ret_waits = *ret_waits || letter_keys_have(&kafka->letters, slice_of(table->topic->name),
                                                message_slice(&kafka->messages.bytes, &message->key));
    return true;
}

/* Names come from the catalog, and no value is shown. */
static void tell_operator(const struct letter *letter, const struct relation *relation) {
    if (letter->failed)
        buffer_printf(&letter->kafka->sink.news,
                      "table %s.%s: change %" PRIu64 " of the transaction at %s is a dead letter: %s\n",
                      relation->schema.data, relation->name.data, letter->change->index,
                      lsn_format(transaction_named_lsn(letter->change->transaction)).text, letter->reason);
}

bool kafka_letters_take(struct kafka_sink *kafka, const struct change *change, bool *ret_taken,
                        struct error *err) {
    const struct message_list *list = &kafka->messages;
    struct letter letter = {.kafka = kafka, .change = change};
    bool waits = false;
    *ret_taken = false;
    if (kafka->options.oversized != OVERSIZED_DEAD_LETTER)
        return true;
    for (size_t i = 0; i < list->count; i++)
        if (!judge_message(&letter, &list->messages[i], &waits, err))
            return false;
    if (!letter.failed && !waits)
        return true;
    if (!topics_find_dead_letters(&kafka->topics, &letter.dead, err))
        return false;
    if (kafka->letters.next == 0)
        kafka->letters.next = 1;
    if (kafka->letters.count == 0)
        kafka->letters.topic = kafka->options.dead_letter_topic;
    letter.id = kafka->letters.next++;
    kafka->letters.is_changed = *ret_taken = true;
    if (!send_letter(&letter, err))
        return false;
    tell_operator(&letter, list->messages[0].relation);
    return true;
}
