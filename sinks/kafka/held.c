/* SPDX-License-Identifier: Apache-2.0 */
/*
 * held.c - do the topics of tables that are about to be copied hold records already?
 *
 * Two requests for all tables: which topics exist, and the first record of each partition (by time, from
 * 1970 on). A record of an aborted transaction counts too, because the answer does not distinguish it.
 */
#include <stdlib.h>
#include <string.h>

#include "sinks/kafka/client/kafka_error.h"
#include "sinks/kafka/kafka.h"

/* Neither request can be interrupted, and a stop may take ten seconds at most. */
enum { TOPICS_MAX_MS = 4000, RECORDS_MAX_MS = 4000 };

struct topic_text {
    char name[TOPIC_NAME_MAX + 1];
};

static int compare_names(const void *one, const void *other) {
    return strcmp(one, other);
}

/* A table without a valid topic name is left out: its first row reports it. Sorted. */
static size_t name_topics(const struct sink_config *config, const struct kafka_options *options,
                          const struct table *tables, size_t count, struct topic_text *names) {
    size_t named = 0;
    for (size_t i = 0; i < count; i++) {
        const struct topic_subject subject = {.source = slice_of(config->pipeline),
                                              .schema = slice_of(tables[i].schema),
                                              .table = slice_of(tables[i].name)};
        struct error refusal = {0};
        if (topic_name_build(options->topic_template, &subject, names[named].name, &refusal))
            named++;
    }
    qsort(names, named, sizeof *names, compare_names);
    return named;
}

static void list_partitions(const struct rd_kafka_metadata *metadata, const struct topic_text *names,
                            size_t count, rd_kafka_topic_partition_list_t *list) {
    for (int i = 0; i < metadata->topic_cnt; i++) {
        const rd_kafka_metadata_topic_t *topic = &metadata->topics[i];
        if (bsearch(topic->topic, names, count, sizeof *names, compare_names) == NULL)
            continue;
        for (int k = 0; k < topic->partition_cnt; k++)
            rd_kafka_topic_partition_list_add(list, topic->topic, topic->partitions[k].id)->offset = 0;
    }
}

/* The partitions of a topic are adjacent. */
static void count_held(const rd_kafka_topic_partition_list_t *list, struct sink_held *held) {
    const char *last = "";
    for (int i = 0; i < list->cnt; i++) {
        const rd_kafka_topic_partition_t *partition = &list->elems[i];
        if (partition->err != RD_KAFKA_RESP_ERR_NO_ERROR || partition->offset < 0 ||
            strcmp(partition->topic, last) == 0)
            continue;
        last = partition->topic;
        if (held->count++ == 0)
            snprintf(held->name, sizeof held->name, "%s", partition->topic);
    }
}

static bool ask_records(struct client *client, rd_kafka_topic_partition_list_t *list, struct error *err) {
    if (list->cnt == 0)
        return true;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client->handle, list, RECORDS_MAX_MS);
    client_poll(client, 0);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR || kafka_error_set(err, code, "asking for the topics' records");
}

static bool held_find(struct client *client, const struct topic_text *names, size_t count,
                      struct sink_held *held, struct error *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client->handle, 1, NULL, &metadata, TOPICS_MAX_MS);
    client_poll(client, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "asking for the topics");
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    list_partitions(metadata, names, count, list);
    rd_kafka_metadata_destroy(metadata);
    bool asked = ask_records(client, list, err);
    if (asked)
        count_held(list, held);
    rd_kafka_topic_partition_list_destroy(list);
    return asked;
}

static bool find_with(struct client *client, const struct kafka_options *options, const struct table *tables,
                      size_t count, struct sink_held *ret_held, struct error *err) {
    struct topic_text *names = calloc(count + 1, sizeof *names);
    *ret_held = (struct sink_held){0};
    if (names == NULL)
        return error_no_memory(err);
    const size_t named = name_topics(client->config, options, tables, count, names);
    const bool found = held_find(client, names, named, ret_held, err);
    free(names);
    return found;
}

/* Opening the sink would end an engine that runs. */
static bool find_without_opening(const struct sink *sink, const struct table *tables, size_t count,
                                 struct sink_held *ret_held, struct error *err) {
    static const struct client_setting NONE[] = {{NULL, NULL}};
    const struct client_options client_options = {
        .type = RD_KAFKA_PRODUCER, .settings = NONE, .stop = sink->stop};
    struct client client AUTO(client_close) = {0};
    struct kafka_options options;
    return kafka_options_read(&options, sink->config, err) &&
           client_open(&client, &options, &client_options, err) &&
           find_with(&client, &options, tables, count, ret_held, err);
}

bool kafka_find_held(struct sink *sink, const struct table *tables, size_t count, struct sink_held *ret_held,
                     struct error *err) {
    struct kafka_sink *kafka = (struct kafka_sink *) sink;
    if (kafka->producer.client.handle == NULL)
        return find_without_opening(sink, tables, count, ret_held, err);
    return find_with(&kafka->producer.client, &kafka->options, tables, count, ret_held, err);
}
