/* SPDX-License-Identifier: Apache-2.0 */
/*
 * partitions.c - asks the cluster for the partitions of several topics, and chooses among them.
 */
#include "sinks/kafka/topics/partitions.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "sinks/kafka/client/kafka_error.h"
#include "sinks/kafka/topics/topics.h"

enum {
    KNOWN_AFTER_MS = 5000,
    SILENT_MAX_MS = 60000, /* as long as messages would wait for a broker that does not answer */
    PAUSE_MS = 20,
    ASK_MAX_MS = 2000, /* a request cannot be interrupted */
    DRAWN_MESSAGES = 1000,
};

/* ---- choosing ---- */

struct partitioner partitioner_of(const struct client *client) {
    static const struct {
        const char *name;
        struct partitioner partitioner;
    } ALL[] = {{"random", {NULL, true, true}},
               {"consistent", {rd_kafka_msg_partitioner_consistent, false, false}},
               {"consistent_random", {rd_kafka_msg_partitioner_consistent, true, true}},
               {"murmur2", {rd_kafka_msg_partitioner_murmur2, false, false}},
               {"murmur2_random", {rd_kafka_msg_partitioner_murmur2, true, false}},
               {"fnv1a", {rd_kafka_msg_partitioner_fnv1a, false, false}},
               {"fnv1a_random", {rd_kafka_msg_partitioner_fnv1a, true, false}}};
    enum { DEFAULT = 4 };
    char name[32] = "";
    size_t size = sizeof name;
    if (rd_kafka_conf_get(rd_kafka_conf(client->handle), "partitioner", name, &size) == RD_KAFKA_CONF_OK)
        for (size_t i = 0; i < sizeof ALL / sizeof *ALL; i++)
            if (strcmp(ALL[i].name, name) == 0)
                return ALL[i].partitioner;
    return ALL[DEFAULT].partitioner;
}

static int32_t draw_partition(struct topic_partitions *partitions) {
    if (partitions->left-- > 0)
        return partitions->drawn;
    partitions->left = DRAWN_MESSAGES;
    partitions->drawn = (int32_t) arc4random_uniform((uint32_t) partitions->count);
    return partitions->drawn;
}

int32_t partitions_choose(const struct partitioner *partitioner, struct topic *topic, struct slice key) {
    struct topic_partitions *partitions = &topic->partitions;
    if (partitions->count == 1)
        return 0;
    if (partitioner->choose == NULL || (key.data == NULL && partitioner->draws) ||
        (key.size == 0 && partitioner->draws_empty))
        return draw_partition(partitions);
    return partitioner->choose(topic->handle, key.data, key.size, partitions->count, NULL, NULL);
}

/* ---- asking ---- */

static const rd_kafka_metadata_topic_t *find_answer(const struct rd_kafka_metadata *metadata,
                                                    const struct topic *topic) {
    for (int i = 0; i < metadata->topic_cnt; i++)
        if (strcmp(metadata->topics[i].topic, topic->name) == 0)
            return &metadata->topics[i];
    return NULL;
}

/* Those that are more than before end at 0. */
static bool take_count(struct topic *topic, const struct rd_kafka_metadata *metadata, struct error *err) {
    struct topic_partitions *partitions = &topic->partitions;
    const rd_kafka_metadata_topic_t *answer = find_answer(metadata, topic);
    if (answer == NULL || (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && answer->partition_cnt == 0))
        return error_set(err, ERROR_RETRY, "the brokers do not know topic %s yet", topic->name);
    if (answer->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, answer->err, "asking for topic %s", topic->name);
    if (answer->partition_cnt <= partitions->count)
        return true;
    int64_t *ends = reallocarray(partitions->ends, (size_t) answer->partition_cnt, sizeof *ends);
    if (ends == NULL)
        return error_no_memory(err);
    memset(ends + partitions->count, 0, (size_t) (answer->partition_cnt - partitions->count) * sizeof *ends);
    partitions->ends = ends;
    partitions->count = answer->partition_cnt;
    return true;
}

static bool take_counts(struct topic *const *topics, size_t count, const struct rd_kafka_metadata *metadata,
                        struct error *err) {
    for (size_t i = 0; i < count; i++)
        if (!take_count(topics[i], metadata, err))
            return false;
    return true;
}

/* No answer, in contrast to one that says no. */
static bool is_silence(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE;
}

/* All that the client knows are asked for together, which costs no more than some of them. */
static bool ask_counts(struct client *client, struct topic *const *topics, size_t count, bool *ret_silent,
                       struct error *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code =
        rd_kafka_metadata(client->handle, 0, count == 1 ? topics[0]->handle : NULL, &metadata, ASK_MAX_MS);
    *ret_silent = is_silence(code);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "asking for the partitions of the topics");
    const bool taken = take_counts(topics, count, metadata, err);
    rd_kafka_metadata_destroy(metadata);
    return taken;
}

/* The answers are in the order of the questions, unless librdkafka has sorted them. */
static const rd_kafka_topic_partition_t *find_end(rd_kafka_topic_partition_list_t *list, int at,
                                                  const struct topic *topic, int32_t partition) {
    const rd_kafka_topic_partition_t *found = &list->elems[at];
    if (found->partition == partition && strcmp(found->topic, topic->name) == 0)
        return found;
    return rd_kafka_topic_partition_list_find(list, topic->name, partition);
}

static bool take_ends(rd_kafka_topic_partition_list_t *list, struct topic *topic, int *at,
                      struct error *err) {
    for (int32_t i = 0; i < topic->partitions.count; i++) {
        const rd_kafka_topic_partition_t *found = find_end(list, (*at)++, topic, i);
        if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
            return kafka_error_set(err, found->err, "asking for the end of topic %s", topic->name);
        if (found->offset < 0)
            return error_set(err, ERROR_RETRY, "the brokers do not know the end of topic %s", topic->name);
        topic->partitions.ends[i] = found->offset;
    }
    return true;
}

/* In place of a time, the offset asks for the end. */
static bool ask_ends(struct client *client, struct topic *const *topics, size_t count, bool *ret_silent,
                     struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    int at = 0;
    for (size_t i = 0; i < count; i++)
        for (int32_t p = 0; p < topics[i]->partitions.count; p++)
            rd_kafka_topic_partition_list_add(list, topics[i]->name, p)->offset = RD_KAFKA_OFFSET_END;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client->handle, list, ASK_MAX_MS);
    *ret_silent = is_silence(code);
    bool taken =
        code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error_set(err, code, "asking for the ends of the topics");
    for (size_t i = 0; taken && i < count; i++)
        taken = take_ends(list, topics[i], &at, err);
    rd_kafka_topic_partition_list_destroy(list);
    return taken;
}

bool partitions_find(struct client *client, struct topic *const *topics, size_t count, struct error *err) {
    const int64_t began_ms = clock_now_ms();
    struct error answer = {0};
    bool is_silent = false;
    if (count == 0)
        return true;
    while (!ask_counts(client, topics, count, &is_silent, &answer) ||
           !ask_ends(client, topics, count, &is_silent, &answer)) {
        const int64_t deadline_ms = began_ms + (is_silent ? SILENT_MAX_MS : KNOWN_AFTER_MS);
        client_poll(client, 0);
        if (client_is_stopped(client))
            return error_set(err, ERROR_STOPPED, "stopped");
        if (!client_check(client, err))
            return false;
        if (answer.kind != ERROR_RETRY || clock_now_ms() >= deadline_ms) {
            *err = answer;
            return false;
        }
        clock_pause_ms(PAUSE_MS);
    }
    return true;
}

bool partitions_refresh(struct client *client, struct topic *const *topics, size_t count, struct error *err) {
    struct error answer = {0};
    bool is_silent = false;
    if (count == 0 || ask_counts(client, topics, count, &is_silent, &answer) || answer.kind == ERROR_RETRY)
        return true;
    *err = answer;
    return false;
}

void partitions_release(struct topic_partitions *partitions) {
    free(partitions->ends);
    *partitions = (struct topic_partitions){0};
}
