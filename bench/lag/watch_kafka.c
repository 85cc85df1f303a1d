/* SPDX-License-Identifier: Apache-2.0 */
/*
 * watch_kafka.c - a read_committed consumer, which has a record only after its transaction was committed in
 * Kafka.
 *
 * The topic may appear later than the consumer, so its partitions are asked for until there are some.
 */
#include "bench/lag/watch.h"

#include <librdkafka/rdkafka.h>
#include <time.h>

#include "cdc/base/clock.h"

#define TOPIC_INTERVAL_MS 20
#define ANSWER_TIMEOUT_MS 5000
#define STOP_INTERVAL_MS 100

/* A broker answers a fetch at once when it has something; the short wait is in case it is told too late. */
static const char *const SETTINGS[][2] = {
    {"group.id", "bench"},
    {"isolation.level", "read_committed"},
    {"enable.auto.commit", "false"},
    {"fetch.min.bytes", "1"},
    {"fetch.wait.max.ms", "10"},
    {"auto.offset.reset", "error"},
    {"check.crcs", "false"},
    {"socket.nagle.disable", "true"},
    {"log_level", "3"},
    {"fetch.error.backoff.ms", "10"},
};

static rd_kafka_t *consumer_new(const char *brokers, struct error *err) {
    char text[256];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    bool done = rd_kafka_conf_set(conf, "bootstrap.servers", brokers, text, sizeof text) == RD_KAFKA_CONF_OK;
    for (size_t i = 0; done && i < sizeof SETTINGS / sizeof *SETTINGS; i++)
        done = rd_kafka_conf_set(conf, SETTINGS[i][0], SETTINGS[i][1], text, sizeof text) == RD_KAFKA_CONF_OK;
    rd_kafka_t *consumer = done ? rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text) : NULL;
    if (consumer == NULL) {
        error_set(err, ERROR_CONFIG, "%s", text);
        rd_kafka_conf_destroy(conf);
        return NULL;
    }
    rd_kafka_poll_set_consumer(consumer);
    return consumer;
}

/* 0 when there is no such topic yet. */
static int partition_count(rd_kafka_t *consumer, rd_kafka_topic_t *topic) {
    const struct rd_kafka_metadata *metadata;
    if (rd_kafka_metadata(consumer, 0, topic, &metadata, ANSWER_TIMEOUT_MS) != RD_KAFKA_RESP_ERR_NO_ERROR)
        return 0;
    const bool is_there = metadata->topic_cnt == 1 && metadata->topics[0].err == RD_KAFKA_RESP_ERR_NO_ERROR;
    const int count = is_there ? metadata->topics[0].partition_cnt : 0;
    rd_kafka_metadata_destroy(metadata);
    return count;
}

static int wait_for_topic(rd_kafka_t *consumer, const char *name, const atomic_bool *stop) {
    rd_kafka_topic_t *topic = rd_kafka_topic_new(consumer, name, NULL);
    const struct timespec interval = {.tv_nsec = TOPIC_INTERVAL_MS * 1000000};
    int count;
    while ((count = partition_count(consumer, topic)) == 0 && !*stop)
        clock_nanosleep(CLOCK_MONOTONIC, 0, &interval, NULL);
    rd_kafka_topic_destroy(topic);
    return count;
}

static bool assign(rd_kafka_t *consumer, const char *topic, int partitions, struct error *err) {
    rd_kafka_topic_partition_list_t *all = rd_kafka_topic_partition_list_new(partitions);
    for (int i = 0; i < partitions; i++)
        rd_kafka_topic_partition_list_add(all, topic, i)->offset = RD_KAFKA_OFFSET_BEGINNING;
    const rd_kafka_resp_err_t answer = rd_kafka_assign(consumer, all);
    rd_kafka_topic_partition_list_destroy(all);
    return answer == RD_KAFKA_RESP_ERR_NO_ERROR ||
           error_set(err, ERROR_RETRY, "topic %s: %s", topic, rd_kafka_err2str(answer));
}

static bool note(struct arrivals *arrivals, const rd_kafka_message_t *message, struct error *err) {
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR)
        return error_set(err, ERROR_RETRY, "the consumer: %s", rd_kafka_message_errstr(message));
    struct mark mark;
    if (message->payload == NULL || mark_find(message->payload, message->len, &mark) == NULL)
        return true; /* a record about something else */
    return arrivals_note(arrivals, &mark, clock_now_us(), err);
}

static bool watch(rd_kafka_t *consumer, struct arrivals *arrivals, const atomic_bool *stop,
                  struct error *err) {
    while (!*stop && !arrivals_are_complete(arrivals)) {
        rd_kafka_message_t *message = rd_kafka_consumer_poll(consumer, STOP_INTERVAL_MS);
        if (message == NULL)
            continue;
        const bool done = note(arrivals, message, err);
        rd_kafka_message_destroy(message);
        if (!done)
            return false;
    }
    return true;
}

bool watch_kafka(const char *brokers, const char *topic, struct arrivals *arrivals, const atomic_bool *stop,
                 struct error *err) {
    rd_kafka_t *consumer = consumer_new(brokers, err);
    if (consumer == NULL)
        return false;
    const int partitions = wait_for_topic(consumer, topic, stop);
    const bool done =
        *stop || (assign(consumer, topic, partitions, err) && watch(consumer, arrivals, stop, err));
    rd_kafka_destroy_flags(consumer, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE); /* there is no group to leave */
    if (done)
        printf("{\"repeated\": %lld, \"partitions\": %d}\n", (long long) arrivals->repeated, partitions);
    return done;
}
