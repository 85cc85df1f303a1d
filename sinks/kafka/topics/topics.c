/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topics.c - finds or creates each table's topic and reads its limits.
 */
#include "sinks/kafka/topics/topics.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"

enum {
    MEET_MAX = 64,
    KNOWN_AFTER_MS = 5000,
    PAUSE_MS = 20,
    REFRESH_MS = 300000,
    /*
     * The bytes of a batch of one record without key and value: the batch's header, the record's, and three
     * headers.
     */
    BATCH_OVERHEAD_BYTES = 512,
    BROKER_MESSAGE_BYTES_MAX =
        1048588, /* a broker's default message.max.bytes, assumed when it does not return the value */
};

#define LIMIT "max.message.bytes"

void topics_init(struct topics *topics, const struct kafka_options *options, struct client *client,
                 size_t batch_bytes) {
    *topics = (struct topics){.options = options,
                              .client = client,
                              .partitioner = partitioner_of(client),
                              .asked_ms = clock_now_ms(),
                              .batch_bytes = batch_bytes};
}

void topics_release(struct topics *topics) {
    for (size_t i = 0; i < topics->count; i++) {
        if (topics->all[i]->handle != NULL)
            rd_kafka_topic_destroy(topics->all[i]->handle);
        partitions_release(&topics->all[i]->partitions);
        free(topics->all[i]);
    }
    for (size_t i = 0; i < map_slots(&topics->tables); i++)
        free(map_at(&topics->tables, i));
    free(topics->all);
    map_release(&topics->tables);
    *topics = (struct topics){0};
}

/* ---- a topic in the cluster ---- */

/* The largest message that the producer sends, as configured in librdkafka. */
static size_t producer_limit(const struct topics *topics) {
    char text[32] = "";
    size_t size = sizeof text;
    const rd_kafka_conf_t *conf = rd_kafka_conf(topics->client->handle);
    if (rd_kafka_conf_get(conf, "message.max.bytes", text, &size) != RD_KAFKA_CONF_OK)
        return BROKER_MESSAGE_BYTES_MAX;
    return strtoul(text, NULL, 10);
}

/* The settings of a topic that is created. NULL: the brokers' defaults. */
struct wish {
    const char *name;
    const char *cleanup_policy;
    const char *message_bytes_max;
    const char *retention; /* in bytes and milliseconds */
};

static struct topic_definition define(const struct topics *topics, const char *name,
                                      const struct client_setting *settings) {
    return (struct topic_definition){.name = name,
                                     .partitions = topics->options->partitions,
                                     .replication = topics->options->replication,
                                     .settings = settings};
}

static bool topics_create(struct topics *topics, const struct wish *wish, struct error *err) {
    const struct client_setting settings[] = {{"cleanup.policy", wish->cleanup_policy},
                                              {"max.message.bytes", wish->message_bytes_max},
                                              {"retention.ms", wish->retention},
                                              {"retention.bytes", wish->retention},
                                              {NULL, NULL}};
    const struct topic_definition definition = define(topics, wish->name, settings);
    if (!admin_create_topic(topics->client, &definition, err))
        return false;
    FAULT_POINT("kafka-topic-created");
    return true;
}

static bool create_if_missing(struct topics *topics, const struct wish *wish, struct error *err) {
    struct topic_facts facts;
    if (!admin_describe_topic(topics->client, wish->name, &facts, err))
        return false;
    return facts.partitions > 0 || topics_create(topics, wish, err);
}

/*
 * A new topic is not known to every broker at once; retries, so that an initial copy is not repeated for
 * that.
 */
static bool ask_limit(struct topics *topics, const struct topic *topic, struct admin_setting *limit,
                      struct error *err) {
    int64_t deadline_ms = clock_now_ms() + KNOWN_AFTER_MS;
    struct error answer = {0};
    bool known = false;
    while (!admin_read_settings(topics->client, RD_KAFKA_RESOURCE_TOPIC, topic->name, limit, 1, &known,
                                &answer)) {
        if (answer.kind != ERROR_RETRY || clock_now_ms() >= deadline_ms ||
            client_is_stopped(topics->client)) {
            *err = answer;
            return false;
        }
        clock_pause_ms(PAUSE_MS);
    }
    return true;
}

/*
 * A single message must fit, and so must a batch of several; otherwise the broker refuses the batch with all
 * its messages.
 */
static bool take_limit(struct topics *topics, struct topic *topic, const struct admin_setting *limit,
                       struct error *err) {
    size_t bytes = strtoul(limit->value, NULL, 10);
    size_t producer_bytes = producer_limit(topics);
    if (bytes == 0)
        bytes = BROKER_MESSAGE_BYTES_MAX;
    if (bytes < topics->batch_bytes + BATCH_OVERHEAD_BYTES) {
        topics->smallest_bytes =
            bytes > 2 * BATCH_OVERHEAD_BYTES ? bytes - BATCH_OVERHEAD_BYTES : BATCH_OVERHEAD_BYTES;
        if (topics->smallest_bytes < topics->batch_bytes)
            return error_set(
                err, ERROR_RETRY,
                "topic %s accepts at most %zu bytes in one batch, so the producer is reopened with "
                "smaller batches",
                topic->name, bytes);
    }
    if (producer_bytes < bytes)
        bytes = producer_bytes;
    topic->message_bytes_max = bytes > BATCH_OVERHEAD_BYTES ? bytes - BATCH_OVERHEAD_BYTES : 0;
    return true;
}

static bool read_limits(struct topics *topics, struct topic *topic, struct error *err) {
    struct admin_setting limit = {.name = LIMIT};
    return ask_limit(topics, topic, &limit, err) && take_limit(topics, topic, &limit, err);
}

/* ---- the list of topics ---- */

static struct topic *find_by_name(const struct topics *topics, const char *name) {
    for (size_t i = 0; i < topics->count; i++)
        if (strcmp(topics->all[i]->name, name) == 0)
            return topics->all[i];
    return NULL;
}

static bool topics_append(struct topics *topics, const char *name, struct topic **ret_topic,
                          struct error *err) {
    struct topic **all = reallocarray(topics->all, topics->count + 1, sizeof *all);
    if (all == NULL)
        return error_no_memory(err);
    topics->all = all;
    struct topic *topic = calloc(1, sizeof *topic);
    if (topic == NULL)
        return error_no_memory(err);
    snprintf(topic->name, sizeof topic->name, "%s", name);
    all[topics->count++] = topic;
    topic->handle = rd_kafka_topic_new(topics->client->handle, name, NULL);
    if (topic->handle == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), "topic %s", name);
    *ret_topic = topic;
    return true;
}

static bool add(struct topics *topics, const struct wish *wish, struct topic **ret_topic, struct error *err) {
    *ret_topic = find_by_name(topics, wish->name);
    if (*ret_topic != NULL)
        return true;
    return create_if_missing(topics, wish, err) && topics_append(topics, wish->name, ret_topic, err) &&
           read_limits(topics, *ret_topic, err);
}

/* A topic of which librdkafka chooses the partition. */
static bool add_own(struct topics *topics, const struct wish *wish, struct topic **ret_topic,
                    struct error *err) {
    const size_t before = topics->count;
    if (!add(topics, wish, ret_topic, err))
        return false;
    if (topics->count > before)
        admin_learn_topic(topics->client, (*ret_topic)->handle);
    return true;
}

/* ---- tables ---- */

/* The OIDs are the same. */
static bool is_table(const void *object, const void *key) {
    const struct table_topic *table = object;
    const struct relation *relation = key;
    return table->schema_size == relation->schema.size && table->table_size == relation->name.size &&
           memcmp(table->name, relation->schema.data, table->schema_size) == 0 &&
           memcmp(table->name + table->schema_size, relation->name.data, table->table_size) == 0;
}

static bool remember(struct topics *topics, const struct relation *relation, struct topic *topic,
                     struct table_topic **ret_table, struct error *err) {
    struct table_topic *table = malloc(sizeof *table + relation->schema.size + relation->name.size);
    if (table == NULL)
        return error_no_memory(err);
    *table = (struct table_topic){
        .topic = topic, .schema_size = relation->schema.size, .table_size = relation->name.size};
    memcpy(table->name, relation->schema.data, relation->schema.size);
    memcpy(table->name + relation->schema.size, relation->name.data, relation->name.size);
    if (map_put(&topics->tables, relation->oid, is_table, relation, table)) {
        *ret_table = table;
        return true;
    }
    free(table);
    return error_no_memory(err);
}

/*
 * Refuses a table whose topic is one of the sink's own: consumers of rows expect no other records, and the
 * position would be lost among rows.
 */
static bool check_not_own(const struct topics *topics, const struct topic_subject *subject, const char *name,
                          struct error *err) {
    const char *key = kafka_options_own(topics->options, name);
    return key == NULL ||
           error_set(err, ERROR_CONFIG,
                     "table %.*s.%.*s has topic %s, which Kafka does not distinguish from that of "
                     "%s; change topic or %s",
                     (int) subject->schema.size, subject->schema.data, (int) subject->table.size,
                     subject->table.data, name, key, key);
}

static bool name_topic(const struct topics *topics, const struct relation *relation,
                       char name[TOPIC_NAME_MAX + 1], struct error *err) {
    const struct topic_subject subject = {.source = slice_of(topics->options->config->pipeline),
                                          .schema = relation->schema,
                                          .table = relation->name};
    return topic_name_build(topics->options->topic_template, &subject, name, err) &&
           check_not_own(topics, &subject, name, err);
}

/* NULL: it was not looked up. */
static struct table_topic *known_table(const struct topics *topics, const struct relation *relation) {
    return map_find(&topics->tables, relation->oid, is_table, relation);
}

static bool know_partitions(struct topics *topics, struct topic *topic, struct error *err) {
    return topic->partitions.count > 0 || partitions_find(topics->client, &topic, 1, err);
}

bool topics_find(struct topics *topics, const struct relation *relation, struct table_topic **ret_table,
                 struct error *err) {
    char name[TOPIC_NAME_MAX + 1];
    const struct wish wish = {.name = name, .cleanup_policy = topics->options->cleanup_policy};
    struct topic *topic = NULL;
    *ret_table = known_table(topics, relation);
    return *ret_table != NULL ||
           (name_topic(topics, relation, name, err) && add(topics, &wish, &topic, err) &&
            know_partitions(topics, topic, err) && remember(topics, relation, topic, ret_table, err));
}

static size_t collect_divided(const struct topics *topics, struct topic **divided) {
    size_t count = 0;
    for (size_t i = 0; i < topics->count; i++)
        if (topics->all[i]->partitions.count > 0)
            divided[count++] = topics->all[i];
    return count;
}

bool topics_refresh(struct topics *topics, int64_t now_ms, struct error *err) {
    if (now_ms < topics->asked_ms + REFRESH_MS)
        return true;
    struct topic **divided = calloc(topics->count + 1, sizeof *divided);
    if (divided == NULL)
        return error_no_memory(err);
    topics->asked_ms = now_ms;
    const bool refreshed = partitions_refresh(topics->client, divided, collect_divided(topics, divided), err);
    free(divided);
    return refreshed;
}

/* ---- several new tables ---- */

struct newcomers {
    size_t count;
    const struct relation *relations[MEET_MAX];
    char names[MEET_MAX][TOPIC_NAME_MAX + 1];
    struct topic_answer answers[MEET_MAX];
};

static bool collides(const struct newcomers *newcomers, const char *name) {
    for (size_t i = 0; i < newcomers->count; i++)
        if (topic_names_collide(newcomers->names[i], name))
            return true;
    return false;
}

/*
 * Tables whose topic names collide are left to topics_find, which reports the fault: Kafka refuses a name
 * that collides with an existing topic, but not with one of the same request.
 */
static void collect(const struct topics *topics, const struct relation *relation,
                    struct newcomers *newcomers) {
    char name[TOPIC_NAME_MAX + 1];
    struct error ignored;
    const size_t i = newcomers->count;
    if (!name_topic(topics, relation, name, &ignored) || find_by_name(topics, name) != NULL ||
        collides(newcomers, name))
        return;
    memcpy(newcomers->names[i], name, sizeof name);
    newcomers->relations[i] = relation;
    newcomers->answers[i] = (struct topic_answer){.name = newcomers->names[i], .setting = {.name = LIMIT}};
    newcomers->count++;
}

static size_t count_there(const struct newcomers *newcomers) {
    size_t there = 0;
    for (size_t i = 0; i < newcomers->count; i++)
        there += newcomers->answers[i].state == TOPIC_THERE;
    return there;
}

/* Retries like ask_limit. */
static bool ask_until_there(struct topics *topics, struct newcomers *newcomers, size_t expected,
                            struct error *err) {
    int64_t deadline_ms = clock_now_ms() + KNOWN_AFTER_MS;
    for (;;) {
        if (!admin_ask_topics(topics->client, newcomers->answers, newcomers->count, err))
            return false;
        if (count_there(newcomers) >= expected || clock_now_ms() >= deadline_ms)
            return true;
        if (client_is_stopped(topics->client))
            return error_set(err, ERROR_STOPPED, "stopped");
        clock_pause_ms(PAUSE_MS);
    }
}

static bool create_missing(struct topics *topics, struct newcomers *newcomers, struct error *err) {
    const struct client_setting settings[] = {{"cleanup.policy", topics->options->cleanup_policy},
                                              {NULL, NULL}};
    struct topic_definition definitions[MEET_MAX];
    bool created[MEET_MAX];
    size_t missing = 0, expected = count_there(newcomers);
    for (size_t i = 0; i < newcomers->count; i++)
        if (newcomers->answers[i].state == TOPIC_MISSING)
            definitions[missing++] = define(topics, newcomers->names[i], settings);
    if (missing == 0)
        return true;
    if (!admin_create_topics(topics->client, definitions, missing, created, err))
        return false;
    FAULT_POINT("kafka-topics-created");
    for (size_t i = 0; i < missing; i++)
        expected += created[i];
    return ask_until_there(topics, newcomers, expected, err);
}

/* A table is remembered only when its partitions are known, too. */
static bool welcome(struct topics *topics, const struct newcomers *newcomers, struct error *err) {
    struct topic *met[MEET_MAX];
    struct table_topic *table;
    size_t met_count = 0, at = 0;
    for (size_t i = 0; i < newcomers->count; i++) {
        if (newcomers->answers[i].state != TOPIC_THERE)
            continue;
        struct topic **topic = &met[met_count++];
        if (!topics_append(topics, newcomers->names[i], topic, err) ||
            !take_limit(topics, *topic, &newcomers->answers[i].setting, err))
            return false;
    }
    if (!partitions_find(topics->client, met, met_count, err))
        return false;
    for (size_t i = 0; i < newcomers->count; i++)
        if (newcomers->answers[i].state == TOPIC_THERE &&
            !remember(topics, newcomers->relations[i], met[at++], &table, err))
            return false;
    return true;
}

static bool meet(struct topics *topics, struct newcomers *newcomers, struct error *err) {
    return admin_ask_topics(topics->client, newcomers->answers, newcomers->count, err) &&
           create_missing(topics, newcomers, err) && welcome(topics, newcomers, err);
}

bool topics_meet(struct topics *topics, const struct change *changes, size_t count, struct error *err) {
    struct newcomers newcomers;
    const struct relation *last = NULL;
    newcomers.count = 0;
    for (size_t i = 0; i < count; i++) {
        if (!change_is_row(&changes[i]) || changes[i].relation == last)
            continue;
        last = changes[i].relation;
        if (known_table(topics, last) == NULL)
            collect(topics, last, &newcomers);
        if (newcomers.count < MEET_MAX)
            continue;
        if (!meet(topics, &newcomers, err))
            return false;
        newcomers.count = 0;
    }
    return newcomers.count < 2 || meet(topics, &newcomers, err);
}

/* A compacted topic would keep the last letter of a key only. */
static bool check_letters_kept(struct topics *topics, const char *name, struct error *err) {
    struct admin_setting policy = {.name = "cleanup.policy"};
    bool known = false;
    if (!admin_read_settings(topics->client, RD_KAFKA_RESOURCE_TOPIC, name, &policy, 1, &known, err))
        return false;
    if (!known || strstr(policy.value, "compact") == NULL)
        return true;
    error_set(err, ERROR_CONFIG, "topic %s is for dead letters, and its cleanup.policy is %s", name,
              policy.value);
    return error_remedy(err, "set cleanup.policy of topic %s to delete, and retention.ms to -1", name);
}

bool topics_find_dead_letters(struct topics *topics, struct topic **ret_topic, struct error *err) {
    char limit[32];
    const size_t before = topics->count;
    snprintf(limit, sizeof limit, "%zu", producer_limit(topics));
    const struct wish wish = {.name = topics->options->dead_letter_topic,
                              .cleanup_policy = KAFKA_OWN_POLICY,
                              .message_bytes_max = limit,
                              .retention = "-1"};
    return add_own(topics, &wish, ret_topic, err) &&
           (topics->count == before || topics->options->oversized != OVERSIZED_DEAD_LETTER ||
            check_letters_kept(topics, wish.name, err));
}

bool topics_find_transactions(struct topics *topics, struct topic **ret_topic, struct error *err) {
    const struct wish wish = {.name = topics->options->transaction_topic, .cleanup_policy = KAFKA_OWN_POLICY};
    if (topics->transactions == NULL && !add_own(topics, &wish, &topics->transactions, err))
        return false;
    *ret_topic = topics->transactions;
    return true;
}

bool topics_find_definitions(struct topics *topics, struct topic **ret_topic, struct error *err) {
    const struct wish wish = {.name = topics->options->schema_topic, .cleanup_policy = KAFKA_SCHEMA_POLICY};
    if (topics->definitions == NULL && !add_own(topics, &wish, &topics->definitions, err))
        return false;
    *ret_topic = topics->definitions;
    return true;
}

bool topics_find_named(struct topics *topics, const char *name, struct topic **ret_topic, struct error *err) {
    const struct wish wish = {.name = name, .cleanup_policy = topics->options->cleanup_policy};
    return add(topics, &wish, ret_topic, err) && know_partitions(topics, *ret_topic, err);
}
