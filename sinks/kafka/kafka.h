/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka.h - the Kafka sink's struct, for the files of this folder only.
 *
 * kafka.c         the contract's functions
 * takeover.c      which engine owns the pipeline: opening, the claim, the meaning of a fenced producer
 * publish.c       a change as messages, and messages that are too large
 * accounts.h      how many records were published, by partition
 * transactions.c  the transaction topic: where source transactions begin, are split and end
 * definitions.c   the schema topic: the columns of each table, before its records
 * letters.c       changes with a message that is too large, and those that wait for them
 * letter_store.c  `pgcdc dead`, with letter_index.c
 * chunks.c        a copy in chunks: its plan in the position topic
 * held.c          which topics have records before the first copy
 * kafka_check.c   `pgcdc check`
 */
#pragma once

#include "cdc/base/json_writer.h"
#include "sinks/kafka/account/accounts.h"
#include "sinks/kafka/client/producer.h"
#include "sinks/kafka/definitions/told_tables.h"
#include "sinks/kafka/letters/letter_keys.h"
#include "sinks/kafka/position/position_topic.h"
#include "sinks/kafka/topics/topics.h"
#include "sinks/sink.h"

enum { KAFKA_BATCH_BYTES = 1000000 }; /* below the 1 MiB that brokers accept by default */

/* The volume of a Kafka transaction. */
struct kafka_volume {
    uint64_t changes;
    uint64_t bytes; /* of keys and values */
};

enum { KAFKA_CHUNKS_MAX = 16 << 20 };

/* The plan of a copy in chunks, in memory. */
struct kafka_plan {
    struct arena arena;
    struct chunk_plan head; /* without the chunks */
    struct chunk *chunks;   /* by their id, from 1; id 0: there is no such chunk */
    size_t capacity;
    struct json_writer json;
};

struct kafka_sink {
    struct sink sink;
    struct kafka_options options;
    struct producer producer;
    struct topics topics;
    struct accounts accounts;
    struct told_tables told;
    struct letter_keys letters;
    rd_kafka_topic_t *position_topic;
    struct format *format;
    struct message_list messages; /* of the current change */
    struct message_list boundary; /* the latest record about the current transaction */
    struct transaction_tally tally;
    int64_t now_us; /* since 1970, at the start of the current span */
    int64_t now_ms; /* the same moment by the monotonic clock */

    /* Kept when the sink is closed and opened again. */
    uint64_t claim;     /* 0: never opened */
    bool has_claimed;   /* our claim was in the position topic, so another one there has fenced us */
    size_t batch_bytes; /* 0: never lowered */

    struct position position; /* durable */
    lsn_t whole_lsn;          /* the end of the last transaction that was written whole */
    struct kafka_volume sent;
    struct kafka_volume sent_whole; /* the part of it in whole source transactions */
    bool copying;                   /* rows of a copy are being written */
    bool has_plan;                  /* of a copy in chunks; stored with each position */
    bool has_large_chunk;           /* with as many rows as a whole copy: it needs as much time */
    struct kafka_plan plan;
};

static inline struct kafka_sink *kafka_of(struct sink *sink) {
    return (struct kafka_sink *) sink;
}

/*
 * kafka.c: makes sure that the producer may begin another transaction, and that this one can end in time.
 * Within a transaction it does nothing.
 */
MUST_CHECK bool kafka_prepare_producer(struct kafka_sink *kafka, struct error *err);

/* chunks.c */
extern const struct sink_chunk_ops KAFKA_CHUNK;
void kafka_plan_init(struct kafka_plan *plan);
/* Accepts a zeroed plan. */
void kafka_plan_release(struct kafka_plan *plan);
/* For struct position_reader, whatever is in the records: which there are. context: a struct kafka_plan. */
MUST_CHECK bool kafka_plan_take_ids(void *context, struct slice name, struct slice value, struct error *err);
/* Of a copy without a plan: sends where its last row was written. */
MUST_CHECK bool kafka_plan_send_place(struct kafka_sink *kafka, struct error *err);
/* Sends tombstones for the plan and the chunks in memory. */
MUST_CHECK bool kafka_plan_remove(struct kafka_sink *kafka, struct error *err);

/*
 * takeover.c: opens the producer, reads the position and, the first time, claims the pipeline. ERROR_REFUSE
 * when another engine has claimed it since we did.
 */
MUST_CHECK bool kafka_take_over(struct kafka_sink *kafka, int timeout_ms, struct error *err);

/* Closes what is open; reports no error. */
void kafka_let_go(struct kafka_sink *kafka);

/*
 * Turns "perhaps fenced" into ERROR_REFUSE if another engine has taken over, else into ERROR_RETRY. Returns
 * false.
 */
bool kafka_judge(struct kafka_sink *kafka, struct error *err);

/* Sends the position and commits; on success kafka->position is that position. */
MUST_CHECK bool kafka_commit(struct kafka_sink *kafka, const struct position *position, struct error *err);

/*
 * publish.c: sends the messages of a row change, or of a truncate for each of its tables, in the open
 * transaction.
 */
MUST_CHECK bool kafka_publish(struct kafka_sink *kafka, const struct change *change, struct error *err);

/*
 * transactions.c: these do nothing without a transaction topic. start: at each Begin. begin: before the
 * first message of a change. split, end: after a part, or after the whole transaction.
 */
void kafka_transaction_start(struct kafka_sink *kafka, const struct change *change);
MUST_CHECK bool kafka_transaction_begin(struct kafka_sink *kafka, const struct change *change,
                                        struct error *err);
/* Counts a change that is already published, of the split transaction that continues. */
MUST_CHECK bool kafka_transaction_count_again(struct kafka_sink *kafka, const struct change *change,
                                              struct error *err);
MUST_CHECK bool kafka_transaction_split(struct kafka_sink *kafka, struct error *err);
MUST_CHECK bool kafka_transaction_end(struct kafka_sink *kafka, struct error *err);

/*
 * definitions.c: these do nothing without a schema topic. tell: before a record of the relation, which the
 * change is about. remove: sends a tombstone for what is stored about each table.
 */
MUST_CHECK bool kafka_definition_tell(struct kafka_sink *kafka, const struct change *change,
                                      const struct relation *relation, struct error *err);
MUST_CHECK bool kafka_definitions_remove(struct kafka_sink *kafka, struct error *err);
bool kafka_wants_numbers(const struct sink_config *config);

/*
 * letters.c. take: the change in kafka->messages is a dead letter or waits for one; then it is sent as such.
 * note: sends what has changed about keys, before the position. remove: sends tombstones for all of it.
 * allowed: ERROR_CONFIG when there are letters and the options want none. are_here: ERROR_CONFIG when they
 * are in another topic than the options say.
 */
MUST_CHECK bool kafka_letters_take(struct kafka_sink *kafka, const struct change *change, bool *ret_taken,
                                   struct error *err);
MUST_CHECK bool kafka_letters_note(struct kafka_sink *kafka, struct error *err);
MUST_CHECK bool kafka_letters_remove(struct kafka_sink *kafka, struct error *err);
MUST_CHECK bool kafka_letters_allowed(const struct kafka_sink *kafka, struct error *err);
MUST_CHECK bool kafka_letters_are_here(const struct kafka_sink *kafka, struct error *err);
/* As the topic's limit counts them. */
size_t kafka_message_bytes(const struct message *message);

/* letter_store.c: dead of struct sink_admin_ops. */
extern const struct sink_dead_ops KAFKA_DEAD;

/* held.c: find_held of struct sink_admin_ops. */
bool kafka_find_held(struct sink *sink, const struct table *tables, size_t count, struct sink_held *ret_held,
                     struct error *err);

/* kafka_check.c: check of struct sink_admin_ops. */
bool kafka_check(struct sink *sink, const struct sink_check *check, struct error *err);
