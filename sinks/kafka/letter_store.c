/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_store.c - dead letters listed, published and left out by a command.
 *
 * What a command does to letters is one Kafka transaction: the messages in their topics, what is noted of
 * their keys, and a note in the dead-letter topic of each. It takes the pipeline over, as an engine does at
 * its start, so no engine may run.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cdc/base/fault.h"
#include "sinks/kafka/letter_index.h"

enum { TIME_TEXT_MAX = 32, NOTE_TEXT_MAX = 24 };

#define LETTER_VALUE_MAX ((size_t) 2 << 30)

/* ---- list ---- */

static void write_time(int64_t at_ms, char text[TIME_TEXT_MAX]) {
    const time_t seconds = (time_t) (at_ms / 1000);
    struct tm parts;
    gmtime_r(&seconds, &parts);
    strftime(text, TIME_TEXT_MAX, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

static bool give_letter(const struct indexed_letter *letter, dead_letter_fn *take, void *context,
                        struct error *err) {
    char id[NOTE_TEXT_MAX], at[TIME_TEXT_MAX], remedy[2 * LETTER_TEXT_MAX] = "";
    snprintf(id, sizeof id, "%" PRIu64, letter->id);
    write_time(letter->at_ms, at);
    if (letter->failed)
        snprintf(
            remedy, sizeof remedy,
            "raise max.message.bytes of topic %s, and message.max.bytes in properties; then stop the engine "
            "and run `pgcdc dead retry`",
            letter->messages[0].topic);
    const struct dead_letter dead = {.id = id,
                                     .schema = letter->schema,
                                     .table = letter->table,
                                     .lsn = letter->commit_lsn,
                                     .change = letter->index,
                                     .failed = letter->failed,
                                     .sqlstate = "",
                                     .reason = letter->reason,
                                     .remedy = remedy,
                                     .at = at};
    return take(context, &dead, err);
}

static bool read_index(struct letter_index *index, struct kafka_sink *kafka, const struct dead_wanted *wanted,
                       struct error *err) {
    return letter_index_read(index, kafka, err) && letter_index_choose(index, &kafka->letters, wanted, err);
}

static bool read_keys(struct kafka_sink *kafka, struct error *err) {
    struct position_found found = {0};
    const struct position_reader reader = {.take = letter_keys_take, .context = &kafka->letters};
    return kafka_options_read(&kafka->options, kafka->sink.config, err) &&
           position_topic_read_all(&kafka->options, kafka->sink.stop, &reader, &found, err);
}

static bool list_letters(struct kafka_sink *kafka, struct letter_index *index,
                         const struct dead_wanted *wanted, dead_letter_fn *take, void *context,
                         struct error *err) {
    if (wanted->with_values)
        return error_set(err, ERROR_CONFIG,
                         "--values is not for a kafka sink: the records of topic %s have the values",
                         kafka->options.dead_letter_topic != NULL ? kafka->options.dead_letter_topic : "");
    if (!read_index(index, kafka, wanted, err))
        return false;
    for (size_t i = 0; i < index->count; i++)
        if (index->letters[i]->is_wanted && !give_letter(index->letters[i], take, context, err))
            return false;
    return true;
}

static bool kafka_dead_list(struct sink *sink, const struct dead_wanted *wanted, dead_letter_fn *take,
                            void *context, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    struct letter_index index AUTO(letter_index_release);
    letter_index_init(&index);
    const bool listed = read_keys(kafka, err) && list_letters(kafka, &index, wanted, take, context, err);
    letter_keys_release(&kafka->letters);
    return listed;
}

/* ---- taking the pipeline over ---- */

static bool begin_command(struct kafka_sink *kafka, struct error *err) {
    if (!kafka_options_read(&kafka->options, kafka->sink.config, err))
        return false;
    if (kafka->options.dead_letter_topic == NULL)
        return error_set(err, ERROR_CONFIG, "sink %s has no dead_letter_topic, so no dead letters",
                         kafka->sink.config->name);
    buffer_init(&kafka->boundary.bytes, LETTER_VALUE_MAX);
    buffer_init(&kafka->messages.bytes, LETTER_VALUE_MAX);
    if (!kafka_take_over(kafka, kafka->options.copy_timeout_ms, err))
        return false;
    return position_exists(&kafka->position) ||
           error_set(err, ERROR_CONFIG, "sink %s has no position, so no dead letters",
                     kafka->sink.config->name);
}

/* True: a topic takes smaller batches only; the command is to begin again with these. */
static bool end_command(struct kafka_sink *kafka) {
    const size_t smallest = kafka->topics.smallest_bytes;
    const bool is_smaller = smallest != 0 && smallest < kafka->batch_bytes;
    kafka_let_go(kafka);
    buffer_release(&kafka->boundary.bytes);
    buffer_release(&kafka->messages.bytes);
    if (is_smaller)
        kafka->batch_bytes = smallest;
    return is_smaller;
}

/* ---- what becomes of letters ---- */

/* The keys have the letters that stay. */
static void settle_keys(struct letter_keys *keys, const struct letter_index *index) {
    for (struct letter_key *key = keys->all; key != NULL; key = key->next)
        key->failed = key->waiting = key->from = 0;
    for (size_t i = index->count; i-- > 0;) {
        const struct indexed_letter *letter = index->letters[i];
        if (!letter->stays)
            continue;
        for (unsigned k = 0; k < letter->message_count; k++)
            letter->messages[k].key->from = letter->id;
        *(letter->failed ? &letter->messages[0].key->failed : &letter->messages[0].key->waiting) += 1;
    }
    for (struct letter_key *key = keys->all; key != NULL; key = key->next) {
        key->is_changed = !key->is_gone;
        if (key->from == 0)
            letter_keys_remove(keys, key);
    }
    keys->is_changed = true;
}

/* A record without a value in the dead-letter topic: what became of a letter, who did it, and why. */
static bool note_settled(struct kafka_sink *kafka, struct topic *dead, const struct indexed_letter *letter,
                         const char *action, const char *reason, const char *done_by, struct error *err) {
    char id[NOTE_TEXT_MAX];
    struct outgoing outgoing = {.topic = dead->handle, .partition = LETTER_PARTITION};
    snprintf(id, sizeof id, "%" PRIu64, letter->id);
    outgoing.headers = rd_kafka_headers_new(4);
    if (outgoing.headers == NULL)
        return error_no_memory(err);
    if (rd_kafka_header_add(outgoing.headers, "pgcdc.letter", -1, id, -1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_add(outgoing.headers, "pgcdc.action", -1, action, -1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_add(outgoing.headers, "pgcdc.reason", -1, reason, -1) != RD_KAFKA_RESP_ERR_NO_ERROR ||
        rd_kafka_header_add(outgoing.headers, "pgcdc.done_by", -1, done_by, -1) !=
            RD_KAFKA_RESP_ERR_NO_ERROR) {
        rd_kafka_headers_destroy(outgoing.headers);
        return error_no_memory(err);
    }
    return producer_send(&kafka->producer, &outgoing, err);
}

static bool note_all_settled(struct kafka_sink *kafka, const struct letter_index *index, const char *action,
                             const char *reason, const char *done_by, struct error *err) {
    struct topic *dead = NULL;
    if (!topics_find_dead_letters(&kafka->topics, &dead, err) || !producer_begin(&kafka->producer, err))
        return false;
    for (size_t i = 0; i < index->count; i++)
        if (!index->letters[i]->stays &&
            !note_settled(kafka, dead, index->letters[i], action, reason, done_by, err))
            return false;
    return true;
}

static uint64_t count_settled(const struct letter_index *index) {
    uint64_t count = 0;
    for (size_t i = 0; i < index->count; i++)
        count += !index->letters[i]->stays;
    return count;
}

/* ---- retry ---- */

static bool letter_fits(struct kafka_sink *kafka, const struct indexed_letter *letter, bool *ret_fits,
                        struct error *err) {
    *ret_fits = true;
    for (unsigned i = 0; i < letter->message_count; i++) {
        struct topic *topic = NULL;
        if (!topics_find_named(&kafka->topics, letter->messages[i].topic, &topic, err))
            return false;
        *ret_fits = *ret_fits && letter->messages[i].bytes <= topic->message_bytes_max;
    }
    return true;
}

static bool is_blocked(const struct letter_keys *keys, const struct indexed_letter *letter) {
    for (unsigned i = 0; i < letter->message_count; i++)
        if (letter_keys_is_marked(keys, letter->messages[i].key))
            return true;
    return false;
}

/* In their order: one that does not fit blocks its keys. */
static bool decide(struct kafka_sink *kafka, struct letter_index *index, struct dead_result *result,
                   struct error *err) {
    letter_keys_unmark(&kafka->letters);
    for (size_t i = 0; i < index->count; i++) {
        struct indexed_letter *letter = index->letters[i];
        bool does_fit = true;
        if (letter->is_wanted && !letter_fits(kafka, letter, &does_fit, err))
            return false;
        const bool waits = is_blocked(&kafka->letters, letter);
        letter->stays = !letter->is_wanted || waits || !does_fit;
        result->failed += letter->is_wanted && !does_fit && !waits;
        result->waiting += letter->is_wanted && waits;
        for (unsigned k = 0; letter->stays && k < letter->message_count; k++)
            letter->messages[k].key->is_marked = true;
    }
    return true;
}

struct republishing {
    struct kafka_sink *kafka;
    const struct letter_index *index;
};

static bool keep_own_headers(const rd_kafka_message_t *message, rd_kafka_headers_t *to) {
    rd_kafka_headers_t *from = NULL;
    const char *name = NULL;
    const void *value = NULL;
    size_t size = 0;
    if (rd_kafka_message_headers(message, &from) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    for (size_t i = 0; rd_kafka_header_get_all(from, i, &name, &value, &size) == RD_KAFKA_RESP_ERR_NO_ERROR;
         i++)
        if (!letter_headers_is_about(name) &&
            rd_kafka_header_add(to, name, -1, value, (ssize_t) size) != RD_KAFKA_RESP_ERR_NO_ERROR)
            return false;
    return true;
}

static bool make_published_headers(const struct kafka_sink *kafka, const rd_kafka_message_t *message,
                                   const struct letter_piece *piece, rd_kafka_headers_t **ret_headers,
                                   struct error *err) {
    rd_kafka_headers_t *headers = rd_kafka_headers_new(8);
    *ret_headers = headers;
    if (headers == NULL)
        return error_no_memory(err);
    bool made = keep_own_headers(message, headers);
    if (kafka->options.headers)
        made =
            made &&
            rd_kafka_header_add(headers, "pgcdc.commit_lsn", -1, piece->commit_lsn, -1) ==
                RD_KAFKA_RESP_ERR_NO_ERROR &&
            rd_kafka_header_add(headers, "pgcdc.index", -1, piece->index, -1) == RD_KAFKA_RESP_ERR_NO_ERROR &&
            rd_kafka_header_add(headers, "pgcdc.xid", -1, piece->xid, -1) == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (made)
        return true;
    rd_kafka_headers_destroy(headers);
    return error_no_memory(err);
}

static bool republish(struct kafka_sink *kafka, const rd_kafka_message_t *message,
                      const struct letter_piece *piece, struct slice value, struct error *err) {
    struct topic *topic = NULL;
    struct table_account *account = NULL;
    const struct slice key = {.data = message->key, .size = message->key_len};
    if (!topics_find_named(&kafka->topics, piece->topic, &topic, err) ||
        !accounts_find(&kafka->accounts, topic, piece->oid, &account, err))
        return false;
    const int32_t partition = partitions_choose(&kafka->topics.partitioner, topic, key);
    struct outgoing outgoing = {.topic = topic->handle, .partition = partition, .key = key, .value = value};
    return make_published_headers(kafka, message, piece, &outgoing.headers, err) &&
           producer_send(&kafka->producer, &outgoing, err) &&
           (value.data == NULL || accounts_add(&kafka->accounts, account, partition, &piece->place, err));
}

/* The parts of a value follow each other. */
static bool republish_record(void *context, const rd_kafka_message_t *message,
                             const struct letter_piece *piece, struct error *err) {
    const struct republishing *of = context;
    const struct indexed_letter *letter = letter_index_find(of->index, piece->id);
    struct buffer *bytes = &of->kafka->messages.bytes;
    const struct slice part = {.data = message->payload, .size = message->len};
    if (letter == NULL || letter->stays)
        return true;
    if (piece->parts == 1)
        return republish(of->kafka, message, piece, part, err);
    if (piece->part == 1)
        buffer_reset(bytes);
    buffer_append_slice(bytes, part);
    if (piece->part < piece->parts)
        return true;
    return buffer_ok(bytes) ? republish(of->kafka, message, piece, buffer_slice(bytes), err)
                            : error_no_memory(err);
}

/*
 * The notes come last: a reader of committed records does not pass the first record of an open transaction,
 * and the letters are read up to the topic's end.
 */
static bool retry_letters(struct kafka_sink *kafka, struct letter_index *index,
                          const struct dead_wanted *wanted, const char *done_by, struct dead_result *result,
                          struct error *err) {
    struct republishing of = {.kafka = kafka, .index = index};
    if (!begin_command(kafka, err) || !read_index(index, kafka, wanted, err) ||
        !decide(kafka, index, result, err))
        return false;
    result->settled = count_settled(index);
    if (result->settled == 0)
        return true;
    if (!producer_begin(&kafka->producer, err) || !letter_records_read(kafka, republish_record, &of, err) ||
        !note_all_settled(kafka, index, "retried", "", done_by, err))
        return false;
    settle_keys(&kafka->letters, index);
    FAULT_POINT("letters-retried");
    return kafka_commit(kafka, &kafka->position, err);
}

static bool kafka_dead_retry(struct sink *sink, const struct dead_wanted *wanted, const char *done_by,
                             struct dead_result *ret_result, struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    bool retried = false;
    do {
        struct letter_index index AUTO(letter_index_release);
        letter_index_init(&index);
        *err = (struct error){0};
        *ret_result = (struct dead_result){0};
        retried = retry_letters(kafka, &index, wanted, done_by, ret_result, err);
    } while (end_command(kafka) && !retried);
    if (!retried)
        ret_result->settled = 0;
    return retried;
}

/* ---- skip ---- */

/*
 * The letter goes, and with_waiting those that share a key with it and follow. Others of its keys that come
 * before it must go first: what follows a letter cannot be left out before it.
 */
static bool choose_skipped(struct letter_index *index, uint64_t id, bool with_waiting,
                           struct dead_result *result, struct error *err) {
    for (size_t i = 0; i < index->count; i++) {
        struct indexed_letter *letter = index->letters[i];
        letter->stays = !letter->is_wanted || (letter->id != id && !with_waiting);
        if (letter->is_wanted && letter->id < id) {
            error_set(err, ERROR_CONFIG,
                      "dead letter %" PRIu64 " has a key of %" PRIu64 " too, and comes before it", letter->id,
                      id);
            return error_remedy(err, "retry or skip %" PRIu64 " first", letter->id);
        }
        result->waiting += letter->is_wanted && letter->stays;
    }
    return true;
}

static bool skip_letters(struct kafka_sink *kafka, struct letter_index *index,
                         const struct dead_wanted *wanted, bool with_waiting, const char *reason,
                         const char *done_by, struct dead_result *result, struct error *err) {
    if (!begin_command(kafka, err) || !read_index(index, kafka, wanted, err) ||
        !choose_skipped(index, strtoull(wanted->id, NULL, 10), with_waiting, result, err) ||
        !note_all_settled(kafka, index, "skipped", reason, done_by, err))
        return false;
    result->settled = count_settled(index);
    settle_keys(&kafka->letters, index);
    kafka->letters.skipped += result->settled;
    FAULT_POINT("letters-skipped");
    return kafka_commit(kafka, &kafka->position, err);
}

static bool kafka_dead_skip(struct sink *sink, const struct dead_wanted *wanted, bool with_waiting,
                            const char *reason, const char *done_by, struct dead_result *ret_result,
                            struct error *err) {
    struct kafka_sink *kafka = kafka_of(sink);
    bool skipped = false;
    do {
        struct letter_index index AUTO(letter_index_release);
        letter_index_init(&index);
        *err = (struct error){0};
        *ret_result = (struct dead_result){0};
        skipped = skip_letters(kafka, &index, wanted, with_waiting, reason, done_by, ret_result, err);
    } while (end_command(kafka) && !skipped);
    return skipped;
}

const struct sink_dead_ops KAFKA_DEAD = {
    .list = kafka_dead_list,
    .retry = kafka_dead_retry,
    .skip = kafka_dead_skip,
};
