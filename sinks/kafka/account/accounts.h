/* SPDX-License-Identifier: Apache-2.0 */
/*
 * accounts.h - how many records the sink has published into each partition, for each table.
 *
 * They are counted when they are sent, and stored in the position topic by the transaction that has them
 * (partition_account.h), so `pgcdc verify` can prove that a topic has every record that was published. After
 * a transaction that failed, the sink is opened again, and they are read again.
 */
#pragma once

#include "cdc/base/map.h"
#include "sinks/formats/format.h"
#include "sinks/kafka/account/partition_account.h"
#include "sinks/kafka/client/producer.h"
#include "sinks/kafka/topics/topics.h"

struct partition_tally {
    struct partition_account account;
    bool is_known;
    bool is_changed; /* since it was sent */
};

struct table_account {
    struct table_account *next; /* of those that have changed */
    bool is_begun;
    bool is_changed;
    oid_t oid;
    int32_t count;
    struct partition_tally *tallies;
    char topic[TOPIC_NAME_MAX + 1];
};

struct accounts {
    struct map tables; /* of struct table_account, by topic and OID; owned */
    struct table_account *changed;
};

/* Accepts zeroed ones. */
void accounts_release(struct accounts *accounts);

/*
 * For struct position_reader; context: a struct accounts. Takes the records of accounts, and passes over
 * others. ERROR_PROTOCOL: not such a record.
 */
MUST_CHECK bool accounts_take(void *context, struct slice name, struct slice value, struct error *err);

/* Of a table with this topic; NULL: none is stored. */
struct table_account *accounts_look_up(const struct accounts *accounts, const char *topic, oid_t oid);

/*
 * The same for the sink, which begins it where the topic ended when it was looked up. A partition that was
 * empty then begins anew, because its topic was deleted since.
 */
MUST_CHECK bool accounts_find(struct accounts *accounts, const struct topic *topic, oid_t oid,
                              struct table_account **ret_account, struct error *err);

/* A record that was sent. */
MUST_CHECK bool accounts_add(struct accounts *accounts, struct table_account *account, int32_t partition,
                             const struct message_place *place, struct error *err);

/* Sends those that have changed, in the open transaction. */
MUST_CHECK bool accounts_send(struct accounts *accounts, struct producer *producer,
                              rd_kafka_topic_t *position_topic, const char *position_key, struct error *err);

/* Sends a tombstone for each. */
MUST_CHECK bool accounts_remove(struct accounts *accounts, struct producer *producer,
                                rd_kafka_topic_t *position_topic, const char *position_key,
                                struct error *err);
