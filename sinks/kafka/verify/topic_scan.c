/* SPDX-License-Identifier: Apache-2.0 */
/*
 * topic_scan.c - all partitions in one queue; each is stopped when its end is passed.
 */
#include "sinks/kafka/verify/topic_scan.h"

#include <stdlib.h>

#include "cdc/base/clock.h"
#include "sinks/kafka/client/acl_command.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"

enum {
    BATCH_MESSAGES = 500,
    SLICE_MS = 100,
    STANDSTILL_MS = 60000, /* longer than a transaction may be open, by default */
};

struct scan {
    struct client *client;
    const struct topic_table *table;
    struct read_rate *rate;
    rd_kafka_topic_t *topic;
    rd_kafka_queue_t *queue;
    bool *is_open; /* by part */
    size_t open_count;
    int64_t moved_ms;
    topic_message_taker *take;
    void *context;
};

static void stop_part(struct scan *scan, size_t part) {
    if (!scan->is_open[part])
        return;
    scan->is_open[part] = false;
    scan->open_count--;
    rd_kafka_consume_stop(scan->topic, scan->table->parts[part].partition);
}

static void scan_release(struct scan *scan) {
    for (size_t i = 0; scan->is_open != NULL && i < scan->table->part_count; i++)
        stop_part(scan, i);
    if (scan->queue != NULL)
        rd_kafka_queue_destroy(scan->queue);
    if (scan->topic != NULL)
        rd_kafka_topic_destroy(scan->topic);
    free(scan->is_open);
}

static bool start_parts(struct scan *scan, struct error *err) {
    const struct topic_table *table = scan->table;
    scan->is_open = calloc(table->part_count + 1, sizeof *scan->is_open);
    if (scan->is_open == NULL)
        return error_no_memory(err);
    scan->topic = rd_kafka_topic_new(scan->client->handle, table->topic, NULL);
    if (scan->topic == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), "topic %s", table->topic);
    admin_learn_topic(scan->client, scan->topic);
    scan->queue = rd_kafka_queue_new(scan->client->handle);
    for (size_t i = 0; i < table->part_count; i++) {
        const struct topic_part *part = &table->parts[i];
        if (part->begin >= part->end)
            continue;
        if (rd_kafka_consume_start_queue(scan->topic, part->partition, part->begin, scan->queue) != 0)
            return kafka_error_set(err, rd_kafka_last_error(), "reading topic %s", table->topic);
        scan->is_open[i] = true;
        scan->open_count++;
    }
    return true;
}

/* Partitions are numbered from 0, so the place is usually known. */
static size_t find_part(const struct topic_table *table, int32_t partition) {
    if (partition >= 0 && (size_t) partition < table->part_count &&
        table->parts[partition].partition == partition)
        return (size_t) partition;
    size_t i = 0;
    while (i + 1 < table->part_count && table->parts[i].partition != partition)
        i++;
    return i;
}

static bool refuse_event(const struct scan *scan, const rd_kafka_message_t *message, struct error *err) {
    if (message->err == RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET ||
        message->err == RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE)
        return error_set(err, ERROR_RETRY,
                         "topic %s: records were deleted while they were read; run verify again",
                         scan->table->topic);
    kafka_error_set(err, message->err, "reading topic %s", scan->table->topic);
    return kafka_error_is_right(err) &&
           error_remedy(
               err, "%s",
               acl_command(scan->client->config, "--operation Read", "--topic", scan->table->topic).text);
}

/* The end-of-partition event tells the next offset. */
static bool take_event(struct scan *scan, const rd_kafka_message_t *message, struct error *err) {
    const size_t part = find_part(scan->table, message->partition);
    const int64_t end = scan->table->parts[part].end;
    if (!scan->is_open[part])
        return true;
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR && message->err != RD_KAFKA_RESP_ERR__PARTITION_EOF)
        return refuse_event(scan, message, err);
    const bool is_record = message->err == RD_KAFKA_RESP_ERR_NO_ERROR && message->offset < end;
    if (is_record && (!read_rate_spend(scan->rate, message->len + message->key_len, err) ||
                      !scan->take(scan->context, message, err)))
        return false;
    if (message->offset >= end || (is_record && message->offset == end - 1))
        stop_part(scan, part);
    return true;
}

static bool check_progress(struct scan *scan, bool has_moved, struct error *err) {
    const int64_t now_ms = clock_now_ms();
    client_poll(scan->client, 0);
    if (client_is_stopped(scan->client))
        return error_set(err, ERROR_STOPPED, "stopped");
    if (has_moved)
        scan->moved_ms = now_ms;
    if (!has_moved && !client_check(scan->client, err))
        return error_wrap(err, "reading topic %s", scan->table->topic);
    return now_ms - scan->moved_ms < STANDSTILL_MS ||
           client_timed_out(scan->client, err, "reading a topic up to where it ended") ||
           error_wrap(err, "topic %s", scan->table->topic);
}

static bool scan_all(struct scan *scan, struct error *err) {
    rd_kafka_message_t *messages[BATCH_MESSAGES];
    scan->moved_ms = clock_now_ms();
    while (scan->open_count > 0) {
        const ssize_t count = rd_kafka_consume_batch_queue(scan->queue, SLICE_MS, messages, BATCH_MESSAGES);
        bool good =
            count >= 0 || kafka_error_set(err, rd_kafka_last_error(), "reading topic %s", scan->table->topic);
        for (ssize_t i = 0; i < count; i++) {
            good = good && take_event(scan, messages[i], err);
            rd_kafka_message_destroy(messages[i]);
        }
        if (!good || !check_progress(scan, count > 0, err))
            return false;
    }
    return true;
}

bool topic_scan(struct client *client, const struct topic_table *table, struct read_rate *rate,
                topic_message_taker *take, void *context, struct error *err) {
    struct scan scan AUTO(scan_release) = {
        .client = client, .table = table, .rate = rate, .take = take, .context = context};
    if (table->part_count == 0)
        return true;
    return start_parts(&scan, err) && scan_all(&scan, err);
}
