/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_index.c - one pass over the topic: what each letter is, without its values.
 *
 * A letter waits if its number is not below `from` of its keys. Those below were retried or skipped.
 */
#include "sinks/kafka/letter_index.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "sinks/kafka/verify/topic_ends.h"
#include "sinks/kafka/verify/topic_scan.h"

enum { INDEX_BLOCK_BYTES = 64 * 1024, LETTER_MESSAGES_MAX = 16 };

#define INDEX_BYTES_MAX ((size_t) 1 << 30)

void letter_index_init(struct letter_index *index) {
    *index = (struct letter_index){0};
    arena_init(&index->arena, INDEX_BLOCK_BYTES, INDEX_BYTES_MAX);
}

void letter_index_release(struct letter_index *index) {
    map_release(&index->by_id);
    arena_release(&index->arena);
}

struct indexed_letter *letter_index_find(const struct letter_index *index, uint64_t id) {
    return map_find_number(&index->by_id, id);
}

/* ---- reading the topic ---- */

struct record_pass {
    letter_record_taker *take;
    void *context;
};

static bool take_letter_record(void *context, const rd_kafka_message_t *message, struct error *err) {
    const struct record_pass *pass = context;
    struct letter_piece piece;
    return !letter_headers_read(message, &piece) || pass->take(pass->context, message, &piece, err);
}

static bool open_letter_reader(struct client *client, const struct kafka_sink *kafka, const char *isolation,
                               struct error *err) {
    const struct client_setting settings[] = {{"isolation.level", isolation},
                                              {"enable.partition.eof", "true"},
                                              {"enable.auto.commit", "false"},
                                              {"auto.offset.reset", "error"},
                                              {"fetch.wait.max.ms", "50"},
                                              {"queued.max.messages.kbytes", "4096"},
                                              {"fetch.message.max.bytes", "1048576"},
                                              {NULL, NULL}};
    const struct client_options options = {
        .type = RD_KAFKA_CONSUMER, .settings = settings, .stop = kafka->sink.stop};
    return client_open(client, &kafka->options, &options, err);
}

static bool scan_letters(struct client *asker, struct client *reader, struct kafka_sink *kafka,
                         struct record_pass *pass, struct error *err) {
    struct topic_table *table = calloc(1, sizeof *table);
    struct read_rate rate = {.stop = kafka->sink.stop};
    if (table == NULL)
        return error_no_memory(err);
    snprintf(table->topic, sizeof table->topic, "%s", kafka->options.dead_letter_topic);
    bool read = open_letter_reader(asker, kafka, "read_uncommitted", err) &&
                open_letter_reader(reader, kafka, "read_committed", err) &&
                topic_ends_find(asker, table, err);
    if (read && table->part_count > 1)
        table->part_count = 1; /* LETTER_PARTITION */
    read = read && topic_scan(reader, table, &rate, take_letter_record, pass, err);
    topic_table_unpin(table);
    free(table);
    return read;
}

bool letter_records_read(struct kafka_sink *kafka, letter_record_taker *take, void *context,
                         struct error *err) {
    struct client asker AUTO(client_close) = {0}, reader AUTO(client_close) = {0};
    struct record_pass pass = {.take = take, .context = context};
    return scan_letters(&asker, &reader, kafka, &pass, err);
}

/* ---- the index ---- */

struct indexing {
    struct letter_index *index;
    struct kafka_sink *kafka;
};

static const char *keep_indexed(struct arena *arena, const char *text) {
    return arena_copy(arena, slice_of(text));
}

static struct indexed_letter *add_letter(struct letter_index *index, const struct letter_piece *piece,
                                         int64_t at_ms) {
    struct arena *arena = &index->arena;
    struct indexed_letter *letter = arena_alloc_zero(arena, sizeof *letter);
    if (letter == NULL)
        return NULL;
    *letter = (struct indexed_letter){.id = piece->id,
                                      .failed = piece->failed,
                                      .reason = keep_indexed(arena, piece->reason),
                                      .schema = keep_indexed(arena, piece->schema),
                                      .table = keep_indexed(arena, piece->table),
                                      .commit_lsn = keep_indexed(arena, piece->commit_lsn),
                                      .index = keep_indexed(arena, piece->index),
                                      .at_ms = at_ms,
                                      .message_count = piece->messages};
    letter->messages = arena_alloc_zero(arena, piece->messages * sizeof *letter->messages);
    const bool has_room = letter->reason != NULL && letter->schema != NULL && letter->table != NULL &&
                          letter->commit_lsn != NULL && letter->index != NULL && letter->messages != NULL;
    return has_room && map_put_number(&index->by_id, letter->id, letter) ? letter : NULL;
}

static bool index_record(void *context, const rd_kafka_message_t *message, const struct letter_piece *piece,
                         struct error *err) {
    const struct indexing *indexing = context;
    struct letter_index *index = indexing->index;
    const struct slice bytes = {.data = message->key, .size = message->key_len};
    struct letter_key *key = letter_keys_find(&indexing->kafka->letters, slice_of(piece->topic), bytes);
    rd_kafka_timestamp_type_t type;
    if (piece->part != 1 || key == NULL || piece->id < key->from)
        return true;
    if (piece->message < 1 || piece->message > piece->messages || piece->messages > LETTER_MESSAGES_MAX)
        return error_set(err, ERROR_DATA, "topic %s: the record at offset %lld is none of the sink's",
                         indexing->kafka->options.dead_letter_topic, (long long) message->offset);
    struct indexed_letter *letter = letter_index_find(index, piece->id);
    if (letter == NULL)
        letter = add_letter(index, piece, rd_kafka_message_timestamp(message, &type));
    const char *topic = keep_indexed(&index->arena, piece->topic);
    if (letter == NULL || topic == NULL)
        return error_no_memory(err);
    if (piece->message <= letter->message_count)
        letter->messages[piece->message - 1] =
            (struct letter_message){.key = key, .topic = topic, .bytes = piece->bytes};
    return true;
}

static int compare_letters(const void *one, const void *other) {
    const uint64_t a = (*(struct indexed_letter *const *) one)->id,
                   b = (*(struct indexed_letter *const *) other)->id;
    return a < b ? -1 : a > b;
}

static bool sort_letters(struct letter_index *index, struct error *err) {
    index->letters = arena_alloc(&index->arena, (map_slots(&index->by_id) + 1) * sizeof *index->letters);
    if (index->letters == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < map_slots(&index->by_id); i++)
        if (map_at(&index->by_id, i) != NULL)
            index->letters[index->count++] = map_at(&index->by_id, i);
    qsort(index->letters, index->count, sizeof *index->letters, compare_letters);
    return true;
}

static bool is_complete(const struct indexed_letter *letter) {
    for (unsigned i = 0; i < letter->message_count; i++)
        if (letter->messages[i].key == NULL)
            return false;
    return true;
}

/* As many as are counted, each with all of its messages. */
static bool check_complete(const struct letter_index *index, const struct kafka_sink *kafka,
                           struct error *err) {
    uint64_t failed = 0, waiting = 0;
    size_t complete = 0;
    letter_keys_total(&kafka->letters, &failed, &waiting);
    for (size_t i = 0; i < index->count; i++)
        complete += is_complete(index->letters[i]);
    if (complete == failed + waiting && complete == index->count)
        return true;
    error_set(err, ERROR_DATA, "topic %s has %s of %s that must be there: records were deleted from it",
              kafka->options.dead_letter_topic, amount_count(complete, "whole dead letter").text,
              amount_count(failed + waiting, "dead letter").text);
    return error_remedy(
        err,
        "without them the order of their keys cannot be kept; make the pipeline anew with `pgcdc drop` and "
        "`pgcdc run`, and set retention.ms and retention.bytes of topic %s to -1",
        kafka->options.dead_letter_topic);
}

bool letter_index_read(struct letter_index *index, struct kafka_sink *kafka, struct error *err) {
    struct indexing indexing = {.index = index, .kafka = kafka};
    if (kafka->letters.count == 0)
        return true;
    return kafka_letters_are_here(kafka, err) && letter_records_read(kafka, index_record, &indexing, err) &&
           sort_letters(index, err) && check_complete(index, kafka, err);
}

/* ---- what a command wants ---- */

static bool is_named(const struct indexed_letter *letter, const struct dead_wanted *wanted) {
    char name[2 * LETTER_TEXT_MAX];
    if (wanted->id != NULL)
        return letter->id == strtoull(wanted->id, NULL, 10);
    snprintf(name, sizeof name, "%s.%s", letter->schema, letter->table);
    return wanted->table == NULL || strcmp(name, wanted->table) == 0;
}

/* True: one more. */
static bool widen(struct letter_index *index, const struct letter_keys *keys) {
    bool is_wider = false;
    for (size_t i = 0; i < index->count; i++) {
        struct indexed_letter *letter = index->letters[i];
        for (unsigned k = 0; k < letter->message_count && !letter->is_wanted; k++)
            letter->is_wanted = letter_keys_is_marked(keys, letter->messages[k].key);
        for (unsigned k = 0; k < letter->message_count && letter->is_wanted; k++) {
            is_wider = is_wider || !letter->messages[k].key->is_marked;
            letter->messages[k].key->is_marked = true;
        }
    }
    return is_wider;
}

bool letter_index_choose(struct letter_index *index, struct letter_keys *keys,
                         const struct dead_wanted *wanted, struct error *err) {
    size_t count = 0;
    letter_keys_unmark(keys);
    for (size_t i = 0; i < index->count; i++)
        count += index->letters[i]->is_wanted = is_named(index->letters[i], wanted);
    if (wanted->id != NULL && count == 0)
        return error_set(err, ERROR_CONFIG, "there is no dead letter %s; `pgcdc dead list` shows them",
                         wanted->id);
    while ((wanted->id != NULL || wanted->table != NULL) && widen(index, keys))
        continue;
    return true;
}
