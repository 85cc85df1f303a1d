/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics.h - the topics of the tables that had a change since the producer was opened.
 *
 * A topic is looked up at its first message: a missing one is created with the sink's options, an existing
 * one is asked for its limits. Handles belong to the producer's client and are destroyed before it is
 * closed.
 */
#pragma once

#include "cdc/base/map.h"
#include "decoder/change.h"
#include "sinks/kafka/topics/partitions.h"

struct topic {
    char name[TOPIC_NAME_MAX + 1];
    rd_kafka_topic_t *handle;
    size_t message_bytes_max;           /* key and value together */
    struct topic_partitions partitions; /* of a table's topic */
};

struct table_account;

/* A table's OID and the name it had at the lookup. */
struct table_topic {
    struct topic *topic;
    struct table_account *account; /* for the caller; NULL at first */
    size_t schema_size;
    size_t table_size;
    char name[]; /* schema and table, one after the other */
};

struct topics {
    const struct kafka_options *options;
    struct client *client;
    struct partitioner partitioner;
    int64_t asked_ms;      /* when partitions were asked for */
    size_t batch_bytes;    /* the producer's limit for one batch */
    size_t smallest_bytes; /* the smallest batch limit of a topic, when it is below batch_bytes; else 0 */
    struct topic **all;
    size_t count;
    struct topic *transactions; /* NULL: not looked up yet */
    struct topic *definitions;  /* likewise */
    struct map tables;          /* of struct table_topic, by OID and name; owned */
};

void topics_init(struct topics *topics, const struct kafka_options *options, struct client *client,
                 size_t batch_bytes);

/* Accepts zeroed ones. */
void topics_release(struct topics *topics);

/*
 * Asks for partitions that were added, once in five minutes, as other producers do. Between two transactions.
 */
MUST_CHECK bool topics_refresh(struct topics *topics, int64_t now_ms, struct error *err);

/*
 * The table and its topic; sends requests to the cluster the first time. ERROR_CONFIG: it cannot be created
 * with these options. ERROR_RETRY with smallest_bytes set: the producer must be opened again with batches
 * that the topic accepts.
 */
MUST_CHECK bool topics_find(struct topics *topics, const struct relation *relation,
                            struct table_topic **ret_table, struct error *err);

/*
 * Looks up the topics of several new tables among these changes: five requests for all instead of six for
 * each. Topics that cannot be found this way are left to topics_find, which reports why.
 */
MUST_CHECK bool topics_meet(struct topics *topics, const struct change *changes, size_t count,
                            struct error *err);

/*
 * cleanup.policy of the dead-letter and the transaction topic, independent of the tables' topics: compaction
 * would keep only the last of several records of a key that belong together.
 */
#define KAFKA_OWN_POLICY "delete"

/*
 * The dead-letter topic; created with max.message.bytes for the largest message that the producer sends, and
 * without an end of its records.
 */
MUST_CHECK bool topics_find_dead_letters(struct topics *topics, struct topic **ret_topic, struct error *err);

/* The transaction topic; created like the tables' topics, except for its cleanup.policy. */
MUST_CHECK bool topics_find_transactions(struct topics *topics, struct topic **ret_topic, struct error *err);

/* Of the schema topic: the last record of a table is its definition, and stays. */
#define KAFKA_SCHEMA_POLICY "compact"

/* The schema topic; likewise. */
MUST_CHECK bool topics_find_definitions(struct topics *topics, struct topic **ret_topic, struct error *err);

/* A table's topic by its name. */
MUST_CHECK bool topics_find_named(struct topics *topics, const char *name, struct topic **ret_topic,
                                  struct error *err);
