/* SPDX-License-Identifier: Apache-2.0 */
/*
 * letter_index.h - the letters in the dead-letter topic that wait for an operator, by their number.
 */
#pragma once

#include "cdc/base/arena.h"
#include "cdc/base/map.h"
#include "sinks/dead.h"
#include "sinks/kafka/kafka.h"
#include "sinks/kafka/letters/letter_headers.h"

/* One of a letter's messages. */
struct letter_message {
    struct letter_key *key; /* NULL: not read */
    const char *topic;
    size_t bytes;
};

struct indexed_letter {
    uint64_t id;
    bool failed;
    bool is_wanted; /* by the command */
    bool stays;     /* it does not fit, or waits for one that does not */
    const char *reason, *schema, *table, *commit_lsn, *index;
    int64_t at_ms; /* since 1970, by the broker's clock or the engine's */
    unsigned message_count;
    struct letter_message *messages;
};

struct letter_index {
    struct arena arena;
    struct map by_id;
    struct indexed_letter **letters; /* by id; in arena */
    size_t count;
};

void letter_index_init(struct letter_index *index);
void letter_index_release(struct letter_index *index);

/*
 * Reads the topic from its beginning to its end. The keys are those of kafka->letters. ERROR_DATA: a letter
 * is not there any more.
 */
MUST_CHECK bool letter_index_read(struct letter_index *index, struct kafka_sink *kafka, struct error *err);

struct indexed_letter *letter_index_find(const struct letter_index *index, uint64_t id);

/* Sets is_wanted: of those that the command names, and of all that share a key with one. */
MUST_CHECK bool letter_index_choose(struct letter_index *index, struct letter_keys *keys,
                                    const struct dead_wanted *wanted, struct error *err);

typedef bool letter_record_taker(void *context, const rd_kafka_message_t *message,
                                 const struct letter_piece *piece, struct error *err);

/* Each record of a letter, in their order. */
MUST_CHECK bool letter_records_read(struct kafka_sink *kafka, letter_record_taker *take, void *context,
                                    struct error *err);
