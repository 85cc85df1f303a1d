/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics.h - the topic of each table that had a change since the producer was opened.
 *
 * A topic is looked up when its first message comes: created as the options say when it is missing, asked for
 * its limits when it is there. Handles belong to the producer's client and are given back before it is
 * closed.
 */
#pragma once

#include "decoder/change.h"
#include "sinks/kafka/client/client.h"

struct topic {
    char name[TOPIC_NAME_MAX + 1];
    rd_kafka_topic_t *handle;
    size_t message_bytes_max; /* key and value together */
};

/* A table under the name that it had. */
struct topic_table {
    oid_t oid;  /* 0: a free place */
    char *name; /* "schema\0table", owned */
    size_t schema_size;
    size_t table_size;
    struct topic *topic;
};

struct topics {
    const struct kafka_options *options;
    struct client *client;
    size_t batch_bytes;    /* what the producer packs into one batch */
    size_t smallest_bytes; /* the least that a topic takes in one batch, when that is less; else 0 */
    struct topic **all;
    size_t count;
    struct topic *transactions; /* NULL: not asked for yet */
    struct topic_table *tables; /* a hash by OID, open addressing; place_count is a power of two */
    size_t table_count;
    size_t place_count;
};

void topics_init(struct topics *topics, const struct kafka_options *options, struct client *client,
                 size_t batch_bytes);

/* Accepts zeroed ones. */
void topics_release(struct topics *topics);

/*
 * The topic of a table; asks or changes the cluster the first time. ERROR_CONFIG: it may not be created, or
 * not so. ERROR_RETRY with smallest_bytes set: the producer must be opened again with batches that the topic
 * takes.
 */
MUST_CHECK bool topics_find(struct topics *topics, const struct relation *relation, struct topic **ret_topic,
                            struct error *err);

/*
 * Looks up the topics of the tables among these changes that are new, when they are several: three requests
 * for all instead of four for each. What cannot be had this way is left to topics_find, which says why.
 */
MUST_CHECK bool topics_meet(struct topics *topics, const struct change *changes, size_t count,
                            struct error *err);

/*
 * cleanup.policy of the dead-letter and the transaction topic, whatever those of tables have: compaction
 * keeps the last record of a key, and there are several that belong together.
 */
#define KAFKA_OWN_POLICY "delete"

/* The dead-letter topic; created with the largest message size that the producer sends. */
MUST_CHECK bool topics_find_dead_letters(struct topics *topics, struct topic **ret_topic, struct error *err);

/* The transaction topic; created as those of tables are, but for its policy. */
MUST_CHECK bool topics_find_transactions(struct topics *topics, struct topic **ret_topic, struct error *err);
