/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_ends.c - three requests for all topics: the partitions, their first offsets, their last ones.
 */
#include "sinks/kafka/verify/topic_ends.h"

#include <stdlib.h>
#include <string.h>

#include "cdc/base/clock.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"

/* A request cannot be interrupted, and a stop may take ten seconds at most. */
enum { REQUEST_MAX_MS = 4000, RETRY_MS = 5000, PAUSE_MS = 50 };

static bool make_parts(struct topic_table *table, int count, struct error *err) {
    table->parts = calloc((size_t) count + 1, sizeof *table->parts);
    if (table->parts == NULL)
        return error_no_memory(err);
    table->part_count = (size_t) count;
    for (int i = 0; i < count; i++)
        table->parts[i].partition = i;
    return true;
}

static bool find_parts(const struct rd_kafka_metadata *metadata, struct topic_table *tables,
                       struct error *err) {
    for (struct topic_table *table = tables; table != NULL; table = table->next)
        for (int i = 0; i < metadata->topic_cnt; i++)
            if (table->parts == NULL && metadata->topics[i].err == RD_KAFKA_RESP_ERR_NO_ERROR &&
                strcmp(metadata->topics[i].topic, table->topic) == 0 &&
                !make_parts(table, metadata->topics[i].partition_cnt, err))
                return false;
    return true;
}

/* Is there no such topic, or does the list leave it out, as without the right to see it? */
static bool ask_unlisted(struct client *client, struct topic_table *tables, struct error *err) {
    struct topic_facts facts;
    for (struct topic_table *table = tables; table != NULL; table = table->next) {
        if (table->parts != NULL || table->is_unlisted)
            continue;
        if (!admin_describe_topic(client, table->topic, &facts, err) ||
            !make_parts(table, facts.partitions, err))
            return false;
        table->is_unlisted = facts.partitions == 0;
    }
    return true;
}

/* Tables may share a topic. */
static void list_parts(const struct topic_table *tables, int64_t time,
                       rd_kafka_topic_partition_list_t *list) {
    for (const struct topic_table *table = tables; table != NULL; table = table->next)
        for (size_t i = 0; i < table->part_count; i++) {
            const int32_t partition = table->parts[i].partition;
            if (!table->is_shared ||
                rd_kafka_topic_partition_list_find(list, table->topic, partition) == NULL)
                rd_kafka_topic_partition_list_add(list, table->topic, partition)->offset = time;
        }
}

static bool take_offsets(const rd_kafka_topic_partition_list_t *list, struct topic_table *tables, bool is_end,
                         struct error *err) {
    for (struct topic_table *table = tables; table != NULL; table = table->next)
        for (size_t i = 0; i < table->part_count; i++) {
            struct topic_part *part = &table->parts[i];
            const rd_kafka_topic_partition_t *found = rd_kafka_topic_partition_list_find(
                (rd_kafka_topic_partition_list_t *) (uintptr_t) list, table->topic, part->partition);
            if (found->err != RD_KAFKA_RESP_ERR_NO_ERROR)
                return kafka_error_set(err, found->err, "asking for the end of topic %s", table->topic);
            if (found->offset < 0)
                return error_set(err, ERROR_RETRY, "the brokers do not know the end of topic %s",
                                 table->topic);
            *(is_end ? &part->end : &part->begin) = found->offset;
        }
    return true;
}

/* In place of a time, such an offset asks for itself. */
static bool ask_offsets(struct client *client, struct topic_table *tables, bool is_end, struct error *err) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(0);
    list_parts(tables, is_end ? RD_KAFKA_OFFSET_END : RD_KAFKA_OFFSET_BEGINNING, list);
    bool taken = true;
    if (list->cnt > 0) {
        rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(client->handle, list, REQUEST_MAX_MS);
        client_poll(client, 0);
        taken = code == RD_KAFKA_RESP_ERR_NO_ERROR
                    ? take_offsets(list, tables, is_end, err)
                    : kafka_error_set(err, code, "asking for the ends of the topics");
    }
    rd_kafka_topic_partition_list_destroy(list);
    return taken;
}

static bool find_ends_once(struct client *client, struct topic_table *tables, struct error *err) {
    const struct rd_kafka_metadata *metadata = NULL;
    rd_kafka_resp_err_t code = rd_kafka_metadata(client->handle, 1, NULL, &metadata, REQUEST_MAX_MS);
    client_poll(client, 0);
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return kafka_error_set(err, code, "asking for the topics");
    const bool found = find_parts(metadata, tables, err);
    rd_kafka_metadata_destroy(metadata);
    return found && ask_unlisted(client, tables, err) && ask_offsets(client, tables, true, err) &&
           ask_offsets(client, tables, false, err);
}

/* A new topic is not known to every broker at once, and a leader may be elected now. */
bool topic_ends_find(struct client *client, struct topic_table *tables, struct error *err) {
    const int64_t until_ms = clock_now_ms() + RETRY_MS;
    struct error answer = {0};
    while (!find_ends_once(client, tables, &answer)) {
        if (answer.kind != ERROR_RETRY || clock_now_ms() >= until_ms || client_is_stopped(client)) {
            *err = answer;
            return false;
        }
        for (struct topic_table *table = tables; table != NULL; table = table->next)
            topic_table_unpin(table);
        clock_pause_ms(PAUSE_MS);
    }
    return true;
}
