/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.c - requests of Kafka's admin API, one at a time, each with its own queue for the answer.
 */
#include "sinks/kafka/client/admin.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"
#include "sinks/kafka/client/kafka_error.h"

enum {
    ANSWER_MAX_MS = 30000,
    SLICE_MS = 100, /* how often the stop flag and the client's complaints are checked */
    LEARN_MAX_MS = 500,
    TOPICS_MAX = 128, /* in one request */
    REASON_BYTES = 512,
};

/* ---- an answer ---- */

struct request {
    struct client *client;
    rd_kafka_queue_t *queue;
    rd_kafka_AdminOptions_t *options;
    rd_kafka_event_t *answer; /* NULL until it has arrived */
};

static void request_release(struct request *request) {
    if (request->answer != NULL)
        rd_kafka_event_destroy(request->answer);
    if (request->options != NULL)
        rd_kafka_AdminOptions_destroy(request->options);
    if (request->queue != NULL)
        rd_kafka_queue_destroy(request->queue);
}

static bool request_init(struct request *request, struct client *client, rd_kafka_admin_op_t operation,
                         struct error *err) {
    char reason[REASON_BYTES];
    *request = (struct request){.client = client,
                                .queue = rd_kafka_queue_new(client->handle),
                                .options = rd_kafka_AdminOptions_new(client->handle, operation)};
    if (request->queue == NULL || request->options == NULL)
        return error_no_memory(err);
    rd_kafka_resp_err_t code =
        rd_kafka_AdminOptions_set_request_timeout(request->options, ANSWER_MAX_MS, reason, sizeof reason);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || error_set(err, ERROR_SYSTEM, "%s", reason);
}

static bool request_await(struct request *request, const char *what, struct error *err) {
    int64_t deadline_ms = clock_now_ms() + ANSWER_MAX_MS;
    while (request->answer == NULL) {
        request->answer = rd_kafka_queue_poll(request->queue, SLICE_MS);
        client_poll(request->client, 0);
        if (request->answer != NULL)
            break;
        if (client_is_stopped(request->client))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (!client_check(request->client, err))
            return error_wrap(err, "%s", what);
        if (clock_now_ms() >= deadline_ms)
            return client_timed_out(request->client, err, what);
    }
    rd_kafka_resp_err_t code = rd_kafka_event_error(request->answer);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    if (code == RD_KAFKA_RESP_ERR__TIMED_OUT)
        return client_timed_out(request->client, err, what);
    return kafka_error_quote(err, code, what, rd_kafka_event_error_string(request->answer));
}

/* The result of a request for one topic. */
static bool judge_topic(const rd_kafka_topic_result_t *const *results, size_t count,
                        rd_kafka_resp_err_t harmless, const char *what, struct error *err) {
    if (count != 1)
        return error_set(err, ERROR_PROTOCOL, "%s: an answer for %s", what,
                         amount_count(count, "topic").text);
    rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[0]);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR || code == harmless)
        return true;
    const char *reason = rd_kafka_topic_result_error_string(results[0]);
    return kafka_error_quote(err, code, what, reason != NULL ? reason : rd_kafka_err2str(code));
}

/* ---- topics ---- */

/*
 * Asks with growing timeouts, because a request cannot be interrupted: a stop is noticed soon, and a slow
 * cluster still has time to answer.
 */
static rd_kafka_resp_err_t ask_metadata(struct client *client, rd_kafka_topic_t *topic,
                                        const struct rd_kafka_metadata **ret_metadata) {
    static const int PARTS_MS[] = {500, 1500, 3000};
    rd_kafka_resp_err_t code = RD_KAFKA_RESP_ERR__TIMED_OUT;
    for (size_t i = 0; i < sizeof PARTS_MS / sizeof PARTS_MS[0]; i++) {
        code = rd_kafka_metadata(client->handle, 0, topic, ret_metadata, PARTS_MS[i]);
        client_poll(client, 0);
        if ((code != RD_KAFKA_RESP_ERR__TIMED_OUT && code != RD_KAFKA_RESP_ERR__TRANSPORT) ||
            client_is_stopped(client))
            break;
    }
    return code;
}

/* topic NULL: asks only for the brokers. */
static bool read_metadata(struct client *client, const char *topic,
                          const struct rd_kafka_metadata **ret_metadata, struct error *err) {
    rd_kafka_topic_t *handle = topic != NULL ? rd_kafka_topic_new(client->handle, topic, NULL) : NULL;
    if (topic != NULL && handle == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), "topic %s", topic);
    rd_kafka_resp_err_t code = ask_metadata(client, handle, ret_metadata);
    if (handle != NULL)
        rd_kafka_topic_destroy(handle);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        return true;
    if (client_is_stopped(client))
        return error_set(err, ERROR_STOPPED, "stopped");
    return client_check(client, err) &&
           kafka_error_set(err, code, "asking the cluster%s%s", topic != NULL ? " for topic " : "",
                           topic != NULL ? topic : "");
}

void admin_learn_topic(struct client *client, rd_kafka_topic_t *topic) {
    const struct rd_kafka_metadata *metadata = NULL;
    if (rd_kafka_metadata(client->handle, 0, topic, &metadata, LEARN_MAX_MS) == RD_KAFKA_RESP_ERR_NO_ERROR)
        rd_kafka_metadata_destroy(metadata);
}

static bool judge_metadata(const rd_kafka_metadata_topic_t *topic, struct topic_facts *ret_facts,
                           struct error *err) {
    *ret_facts = (struct topic_facts){0};
    if (topic->err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        return true;
    if (topic->err != RD_KAFKA_RESP_ERR_NO_ERROR && topic->err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return kafka_error_set(err, topic->err, "topic %s", topic->topic);
    ret_facts->partitions = topic->partition_cnt;
    ret_facts->replicas = topic->partition_cnt > 0 ? topic->partitions[0].replica_cnt : 0;
    return true;
}

bool admin_describe_topic(struct client *client, const char *topic, struct topic_facts *ret_facts,
                          struct error *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    if (!read_metadata(client, topic, &metadata, err))
        return false;
    bool known = metadata->topic_cnt == 1
                     ? judge_metadata(&metadata->topics[0], ret_facts, err)
                     : error_set(err, ERROR_PROTOCOL, "topic %s: an answer for %s", topic,
                                 amount_count((uint64_t) metadata->topic_cnt, "topic").text);
    rd_kafka_metadata_destroy(metadata);
    return known;
}

bool admin_find_broker(struct client *client, int *ret_broker, struct error *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    if (!read_metadata(client, NULL, &metadata, err))
        return false;
    *ret_broker = metadata->broker_cnt > 0 ? metadata->brokers[0].id : -1;
    rd_kafka_metadata_destroy(metadata);
    return true;
}

static rd_kafka_NewTopic_t *new_topic(const struct topic_definition *definition, struct error *err) {
    char reason[REASON_BYTES] = "out of memory";
    rd_kafka_NewTopic_t *topic = rd_kafka_NewTopic_new(definition->name, definition->partitions,
                                                       definition->replication, reason, sizeof reason);
    if (topic == NULL) {
        error_set(err, ERROR_CONFIG, "topic %s: %s", definition->name, reason);
        return NULL;
    }
    for (const struct client_setting *setting = definition->settings; setting->name != NULL; setting++)
        if (setting->value != NULL)
            rd_kafka_NewTopic_set_config(topic, setting->name, setting->value);
    return topic;
}

static bool send_create(struct request *request, const struct topic_definition *definition,
                        struct error *err) {
    char what[TOPIC_NAME_MAX + 32], reason[REASON_BYTES];
    size_t count = 0;
    if (rd_kafka_AdminOptions_set_validate_only(request->options, definition->only_asked, reason,
                                                sizeof reason) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, ERROR_SYSTEM, "%s", reason);
    rd_kafka_NewTopic_t *topic = new_topic(definition, err);
    if (topic == NULL)
        return false;
    snprintf(what, sizeof what, "creating topic %s", definition->name);
    rd_kafka_CreateTopics(request->client->handle, &topic, 1, request->options, request->queue);
    rd_kafka_NewTopic_destroy(topic);
    if (!request_await(request, what, err))
        return false;
    const rd_kafka_topic_result_t *const *results =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(request->answer), &count);
    return judge_topic(results, count, RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS, what, err);
}

bool admin_create_topic(struct client *client, const struct topic_definition *definition, struct error *err) {
    struct request request AUTO(request_release) = {0};
    return request_init(&request, client, RD_KAFKA_ADMIN_OP_CREATETOPICS, err) &&
           send_create(&request, definition, err);
}

/* The results of several topics, in the order of the request; the answer may have another order. */
static void take_created(const rd_kafka_event_t *answer, const struct topic_definition *definitions,
                         size_t count, bool *there) {
    size_t result_count = 0;
    const rd_kafka_topic_result_t *const *results = rd_kafka_CreateTopics_result_topics(
        rd_kafka_event_CreateTopics_result((rd_kafka_event_t *) (uintptr_t) answer), &result_count);
    for (size_t i = 0; i < count; i++) {
        there[i] = false;
        for (size_t k = 0; k < result_count; k++) {
            rd_kafka_resp_err_t code = rd_kafka_topic_result_error(results[k]);
            if (strcmp(rd_kafka_topic_result_name(results[k]), definitions[i].name) == 0)
                there[i] =
                    code == RD_KAFKA_RESP_ERR_NO_ERROR || code == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
        }
    }
}

static bool send_create_many(struct request *request, const struct topic_definition *definitions,
                             size_t count, bool *there, struct error *err) {
    rd_kafka_NewTopic_t *topics[TOPICS_MAX];
    size_t made = 0;
    while (made < count && (topics[made] = new_topic(&definitions[made], err)) != NULL)
        made++;
    if (made == count)
        rd_kafka_CreateTopics(request->client->handle, topics, count, request->options, request->queue);
    rd_kafka_NewTopic_destroy_array(topics, made);
    if (made < count || !request_await(request, "creating topics", err))
        return false;
    take_created(request->answer, definitions, count, there);
    return true;
}

bool admin_create_topics(struct client *client, const struct topic_definition *definitions, size_t count,
                         bool *ret_there, struct error *err) {
    struct request request AUTO(request_release) = {0};
    assert(count <= TOPICS_MAX);
    return request_init(&request, client, RD_KAFKA_ADMIN_OP_CREATETOPICS, err) &&
           send_create_many(&request, definitions, count, ret_there, err);
}

static bool send_delete(struct request *request, const char *name, struct error *err) {
    char what[TOPIC_NAME_MAX + 32];
    size_t count = 0;
    rd_kafka_DeleteTopic_t *topic = rd_kafka_DeleteTopic_new(name);
    snprintf(what, sizeof what, "deleting topic %s", name);
    rd_kafka_DeleteTopics(request->client->handle, &topic, 1, request->options, request->queue);
    rd_kafka_DeleteTopic_destroy(topic);
    if (!request_await(request, what, err))
        return false;
    const rd_kafka_topic_result_t *const *results =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(request->answer), &count);
    return judge_topic(results, count, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, what, err);
}

bool admin_delete_topic(struct client *client, const char *topic, struct error *err) {
    struct request request AUTO(request_release) = {0};
    return request_init(&request, client, RD_KAFKA_ADMIN_OP_DELETETOPICS, err) &&
           send_delete(&request, topic, err);
}

/* ---- settings ---- */

static void take_setting(const rd_kafka_ConfigEntry_t *entry, struct admin_setting *settings, size_t count) {
    const char *value = rd_kafka_ConfigEntry_value(entry);
    for (size_t i = 0; i < count; i++)
        if (strcmp(settings[i].name, rd_kafka_ConfigEntry_name(entry)) == 0)
            snprintf(settings[i].value, sizeof settings[i].value, "%s", value != NULL ? value : "");
}

static bool take_settings(rd_kafka_event_t *answer, const char *what, struct admin_setting *settings,
                          size_t count, bool *ret_known, struct error *err) {
    size_t resource_count = 0, entry_count = 0;
    const rd_kafka_ConfigResource_t *const *resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer), &resource_count);
    if (resource_count != 1)
        return error_set(err, ERROR_PROTOCOL, "%s: an answer for %s", what,
                         amount_count(resource_count, "resource").text);
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resources[0]);
    *ret_known = code == RD_KAFKA_RESP_ERR_NO_ERROR;
    if (!*ret_known)
        return kafka_error_kind(code) == ERROR_CONFIG || kafka_error_set(err, code, "%s", what);
    const rd_kafka_ConfigEntry_t *const *entries =
        rd_kafka_ConfigResource_configs(resources[0], &entry_count);
    for (size_t i = 0; i < entry_count; i++)
        take_setting(entries[i], settings, count);
    return true;
}

bool admin_read_settings(struct client *client, rd_kafka_ResourceType_t type, const char *resource,
                         struct admin_setting *settings, size_t count, bool *ret_known, struct error *err) {
    char what[TOPIC_NAME_MAX + 64];
    struct request request AUTO(request_release) = {0};
    for (size_t i = 0; i < count; i++)
        settings[i].value[0] = '\0';
    snprintf(what, sizeof what, "reading the settings of %s %s",
             type == RD_KAFKA_RESOURCE_TOPIC ? "topic" : "broker", resource);
    if (!request_init(&request, client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, err))
        return false;
    rd_kafka_ConfigResource_t *asked = rd_kafka_ConfigResource_new(type, resource);
    rd_kafka_DescribeConfigs(client->handle, &asked, 1, request.options, request.queue);
    rd_kafka_ConfigResource_destroy(asked);
    return request_await(&request, what, err) &&
           take_settings(request.answer, what, settings, count, ret_known, err);
}

/* ---- many topics ---- */

static void take_answer(const rd_kafka_ConfigResource_t *resource, struct topic_answer *topic) {
    size_t entry_count = 0;
    rd_kafka_resp_err_t code = rd_kafka_ConfigResource_error(resource);
    topic->state = code == RD_KAFKA_RESP_ERR_NO_ERROR                ? TOPIC_THERE
                   : code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART ? TOPIC_MISSING
                                                                     : TOPIC_UNTOLD;
    const rd_kafka_ConfigEntry_t *const *entries = rd_kafka_ConfigResource_configs(resource, &entry_count);
    for (size_t i = 0; i < entry_count; i++)
        take_setting(entries[i], &topic->setting, 1);
}

static void take_answers(rd_kafka_event_t *answer, struct topic_answer *topics, size_t count) {
    size_t resource_count = 0;
    const rd_kafka_ConfigResource_t *const *resources = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(answer), &resource_count);
    for (size_t i = 0; i < count; i++)
        for (size_t k = 0; k < resource_count; k++)
            if (strcmp(rd_kafka_ConfigResource_name(resources[k]), topics[i].name) == 0)
                take_answer(resources[k], &topics[i]);
}

bool admin_ask_topics(struct client *client, struct topic_answer *topics, size_t count, struct error *err) {
    struct request request AUTO(request_release) = {0};
    rd_kafka_ConfigResource_t *asked[TOPICS_MAX];
    assert(count <= TOPICS_MAX);
    if (!request_init(&request, client, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        topics[i].state = TOPIC_UNTOLD;
        topics[i].setting.value[0] = '\0';
        asked[i] = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, topics[i].name);
    }
    rd_kafka_DescribeConfigs(client->handle, asked, count, request.options, request.queue);
    rd_kafka_ConfigResource_destroy_array(asked, count);
    if (!request_await(&request, "reading the settings of topics", err))
        return false;
    take_answers(request.answer, topics, count);
    return true;
}
