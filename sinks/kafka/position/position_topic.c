/* SPDX-License-Identifier: Apache-2.0 */
/*
 * position_topic.c - creates the topic with small segments and reads it from its end.
 */
#include "sinks/kafka/position/position_topic.h"

#include <string.h>
#include <time.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "cdc/base/hash.h"
#include "cdc/base/visible.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"

enum {
    READ_MAX_MS =
        30000, /* with usual settings another sink's open transaction ends, or times out, before that */
    SLICE_MS = 100,
    PAUSE_MS = 50,
    ASK_MAX_MS = 1000,     /* so long a stop may wait */
    WINDOW_RECORDS = 1000, /* our record is among the last few, unless other sinks write much more often */
    WINDOW_FACTOR = 32,
    OTHERS_MAX = 64,
};

/* ---- the topic ---- */

/*
 * Small segments: the active segment is never compacted, and a busy pipeline would leave a gigabyte to read.
 */
static const struct client_setting SETTINGS[] = {
    {"cleanup.policy", "compact"},
    {"segment.bytes", "16777216"},
    {"min.cleanable.dirty.ratio", "0.1"},
    {NULL, NULL},
};

static bool check_policy(struct client *client, const char *topic, struct error *err) {
    struct admin_setting policy = {.name = "cleanup.policy"};
    bool known = false;
    if (!admin_read_settings(client, RD_KAFKA_RESOURCE_TOPIC, topic, &policy, 1, &known, err))
        return false;
    if (!known || strcmp(policy.value, "compact") == 0)
        return true;
    return error_set(
        err, ERROR_CONFIG,
        "topic %s holds the position, but its cleanup.policy is %s, which would delete it; set it "
        "to compact",
        topic, policy.value);
}

bool position_topic_ensure(struct client *client, const struct kafka_options *options, struct error *err) {
    const struct topic_definition definition = {.name = options->position_topic,
                                                .partitions = 1,
                                                .replication = options->replication,
                                                .settings = SETTINGS};
    struct topic_facts facts;
    if (!admin_describe_topic(client, definition.name, &facts, err))
        return error_wrap(err, "the position's topic");
    if (facts.partitions == 0) {
        FAULT_POINT("kafka-before-position-topic");
        return admin_create_topic(client, &definition, err);
    }
    if (facts.partitions != 1)
        return error_set(err, ERROR_CONFIG, "topic %s holds the position and must have one partition, not %d",
                         definition.name, facts.partitions);
    return check_policy(client, definition.name, err);
}

/* ---- reading ---- */

/* Keys of other sinks that have a position: enough to know whether there are any. */
struct other_keys {
    uint64_t hashes[OTHERS_MAX];
    size_t count;
};

/* A tombstone removes its key; when there are more keys than places, some are assumed to exist. */
static void note_other(struct other_keys *others, struct slice key, bool lives) {
    uint64_t hash = hash_bytes(0, key.data, key.size);
    size_t i = 0;
    while (i < others->count && others->hashes[i] != hash)
        i++;
    if (i == OTHERS_MAX)
        return;
    if (lives && i == others->count)
        others->hashes[others->count++] = hash;
    if (!lives && i < others->count && others->count < OTHERS_MAX)
        others->hashes[i] = others->hashes[--others->count];
}

/*
 * One pass over a window of the partition, from its start to the high watermark at the beginning of the
 * pass.
 */
struct reading {
    struct client client;
    const struct kafka_options *options;
    rd_kafka_topic_t *topic;
    int64_t deadline_ms;
    int64_t least_end; /* what the leader said when it was asked for the end */
    int64_t target;    /* the high watermark when reading began; -1: not known yet */
    bool at_end;
    const struct position_reader *reader; /* NULL: further records are not passed on */
    struct other_keys others;
    struct position_found found;
};

static bool take_position(struct reading *reading, const rd_kafka_message_t *message, struct error *err) {
    const struct slice value = {.data = message->payload, .size = message->len};
    struct position_found *found = &reading->found;
    found->exists = message->payload != NULL;
    if (!found->exists)
        return true;
    if (!position_record_parse(value, &found->record))
        return error_set(
            err, ERROR_CONFIG, "topic %s: the record with key %s at offset %lld is not a position",
            reading->options->position_topic, reading->options->position_key, (long long) message->offset);
    rd_kafka_timestamp_type_t type;
    int64_t now_ms = (int64_t) time(NULL) * 1000;
    int64_t age_ms = now_ms - rd_kafka_message_timestamp(message, &type);
    found->age_ms = age_ms > 0 ? age_ms : 0;
    return true;
}

static bool take_further(struct reading *reading, const rd_kafka_message_t *message, struct slice name,
                         struct error *err) {
    const struct slice value = {.data = message->payload, .size = message->len};
    if (reading->reader == NULL || reading->reader->take(reading->reader->context, name, value, err))
        return true;
    if (err->kind != ERROR_PROTOCOL)
        return false;
    char key[64]; /* another program may have written it */
    visible_write(key, sizeof key, name);
    error_set(err, ERROR_CONFIG,
              "topic %s: the record with key %s%s at offset %lld is not one that the sink has written",
              reading->options->position_topic, reading->options->position_key, key,
              (long long) message->offset);
    return error_remedy(err,
                        "run `pgcdc drop` and start over with a new copy, which publishes every row again");
}

static bool take_record(struct reading *reading, const rd_kafka_message_t *message, struct error *err) {
    const struct slice key = {message->key, message->key_len};
    const size_t own_size = strlen(reading->options->position_key);
    const bool is_own =
        key.size >= own_size && memcmp(key.data, reading->options->position_key, own_size) == 0;
    if (is_own && key.size == own_size)
        return take_position(reading, message, err);
    if (is_own && key.data[own_size] == '#')
        return take_further(reading, message,
                            (struct slice){.data = key.data + own_size, .size = key.size - own_size}, err);
    note_other(&reading->others, key, message->payload != NULL);
    return true;
}

/*
 * `next` is the next offset to come. The high watermark is that of the first answer: while another engine
 * writes, there may always be more, and the event for the end of the partition never comes. A new leader's
 * first answers can have a high watermark that lags, so what it said before counts too. The end of what may
 * be read can be before the high watermark while a transaction is open.
 */
static void note_place(struct reading *reading, int64_t next) {
    int64_t low = 0, high = -1;
    if (reading->target < 0 &&
        rd_kafka_get_watermark_offsets(reading->client.handle, reading->options->position_topic, 0, &low,
                                       &high) == RD_KAFKA_RESP_ERR_NO_ERROR &&
        high >= 0)
        reading->target = high > reading->least_end ? high : reading->least_end;
    reading->at_end = reading->target >= 0 && next >= reading->target;
}

static bool take_message(struct reading *reading, const rd_kafka_message_t *message, struct error *err) {
    switch (message->err) {
    case RD_KAFKA_RESP_ERR_NO_ERROR:
        note_place(reading, message->offset + 1);
        return take_record(reading, message, err);
    case RD_KAFKA_RESP_ERR__PARTITION_EOF:
        note_place(reading, message->offset);
        return true;
    default:
        return kafka_error_set(err, message->err, "reading topic %s", reading->options->position_topic);
    }
}

static bool check_time(struct reading *reading, struct error *err) {
    client_poll(&reading->client, 0);
    if (client_is_stopped(&reading->client))
        return error_set(err, ERROR_STOPPED, "stopped");
    if (!client_check(&reading->client, err))
        return error_wrap(err, "reading the position");
    return clock_now_ms() < reading->deadline_ms ||
           client_timed_out(&reading->client, err, "reading the position up to its topic's high watermark");
}

static bool read_to_end(struct reading *reading, struct error *err) {
    while (!reading->at_end) {
        rd_kafka_message_t *message = rd_kafka_consume(reading->topic, 0, SLICE_MS);
        if (message == NULL) {
            if (!check_time(reading, err))
                return false;
            continue;
        }
        bool taken = take_message(reading, message, err);
        rd_kafka_message_destroy(message);
        if (!taken)
            return false;
    }
    return true;
}

static bool read_window(struct reading *reading, int64_t start, struct error *err) {
    reading->found = (struct position_found){0};
    reading->others.count = 0;
    reading->target = -1;
    reading->at_end = false;
    if (rd_kafka_consume_start(reading->topic, 0, start) != 0)
        return kafka_error_set(err, rd_kafka_last_error(), "reading topic %s",
                               reading->options->position_topic);
    bool read = read_to_end(reading, err);
    rd_kafka_consume_stop(reading->topic, 0);
    return read;
}

/* Reads a window before the end, then larger ones until our record is found. */
static bool read_windows(struct reading *reading, int64_t low, int64_t high, struct error *err) {
    reading->least_end = high;
    for (int64_t window = WINDOW_RECORDS;; window *= WINDOW_FACTOR) {
        int64_t start = reading->reader != NULL || high - low <= window ? low : high - window;
        if (!read_window(reading, start, err))
            return false;
        if (reading->found.exists || start == low)
            return true;
    }
}

static bool is_missing(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART || code == RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC ||
           code == RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION;
}

static bool may_pass(rd_kafka_resp_err_t code) {
    return code == RD_KAFKA_RESP_ERR__TIMED_OUT || code == RD_KAFKA_RESP_ERR__TRANSPORT ||
           code == RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE ||
           code == RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION || code == RD_KAFKA_RESP_ERR__WAIT_CACHE;
}

/* which: RD_KAFKA_OFFSET_BEGINNING or RD_KAFKA_OFFSET_END; in place of a time it asks for itself. */
static rd_kafka_resp_err_t ask_offset(struct reading *reading, int64_t which, int64_t *ret_offset) {
    rd_kafka_topic_partition_list_t *list = rd_kafka_topic_partition_list_new(1);
    rd_kafka_topic_partition_list_add(list, reading->options->position_topic, 0)->offset = which;
    rd_kafka_resp_err_t code = rd_kafka_offsets_for_times(reading->client.handle, list, ASK_MAX_MS);
    if (code == RD_KAFKA_RESP_ERR_NO_ERROR)
        code = list->elems[0].err;
    *ret_offset = list->elems[0].offset;
    rd_kafka_topic_partition_list_destroy(list);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR && *ret_offset < 0 ? RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE
                                                                 : code;
}

static rd_kafka_resp_err_t ask_ends(struct reading *reading, int64_t *ret_low, int64_t *ret_high) {
    rd_kafka_resp_err_t code = ask_offset(reading, RD_KAFKA_OFFSET_BEGINNING, ret_low);
    return code == RD_KAFKA_RESP_ERR_NO_ERROR ? ask_offset(reading, RD_KAFKA_OFFSET_END, ret_high) : code;
}

/*
 * The partition's first and last offset; *ret_exists false: no such topic. Retries while a leader is being
 * elected.
 *
 * rd_kafka_query_watermark_offsets is of no use here: it has no time limit while it cannot reach the leader
 * that it knows, and it does not learn of another one.
 */
static bool find_ends(struct reading *reading, int64_t *ret_low, int64_t *ret_high, bool *ret_exists,
                      struct error *err) {
    for (;;) {
        rd_kafka_resp_err_t code = ask_ends(reading, ret_low, ret_high);
        *ret_exists = code == RD_KAFKA_RESP_ERR_NO_ERROR;
        if (*ret_exists || is_missing(code))
            return true;
        if (!may_pass(code))
            return kafka_error_set(err, code, "reading topic %s", reading->options->position_topic);
        if (!check_time(reading, err))
            return false;
        clock_pause_ms(PAUSE_MS);
        admin_learn_topic(&reading->client, reading->topic);
    }
}

static bool read_topic(struct reading *reading, struct error *err) {
    int64_t low = 0, high = 0;
    bool exists = false;
    if (!find_ends(reading, &low, &high, &exists, err))
        return false;
    return !exists || read_windows(reading, low, high, err);
}

static void reading_release(struct reading *reading) {
    if (reading->topic != NULL)
        rd_kafka_topic_destroy(reading->topic);
    client_close(&reading->client);
}

static bool open_consumer(struct client *client, const struct kafka_options *options, const atomic_bool *stop,
                          struct error *err) {
    static const struct client_setting SETTINGS_OF_CONSUMER[] = {
        {"isolation.level", "read_committed"}, {"enable.partition.eof", "true"},
        {"enable.auto.commit", "false"},       {"auto.offset.reset", "earliest"},
        {"fetch.wait.max.ms", "10"},           {NULL, NULL},
    };
    const struct client_options client_options = {
        .type = RD_KAFKA_CONSUMER, .settings = SETTINGS_OF_CONSUMER, .stop = stop};
    return client_open(client, options, &client_options, err);
}

bool position_topic_exists(const struct kafka_options *options, const atomic_bool *stop, bool *ret_exists,
                           struct error *err) {
    struct client client AUTO(client_close) = {0};
    struct topic_facts facts;
    if (!open_consumer(&client, options, stop, err) ||
        !admin_describe_topic(&client, options->position_topic, &facts, err))
        return false;
    *ret_exists = facts.partitions > 0;
    return true;
}

bool position_topic_read_all(const struct kafka_options *options, const atomic_bool *stop,
                             const struct position_reader *reader, struct position_found *ret_found,
                             struct error *err) {
    struct reading reading AUTO(reading_release) = {
        .options = options, .deadline_ms = clock_now_ms() + READ_MAX_MS, .reader = reader};
    if (!open_consumer(&reading.client, options, stop, err))
        return false;
    reading.topic = rd_kafka_topic_new(reading.client.handle, options->position_topic, NULL);
    if (reading.topic == NULL)
        return kafka_error_set(err, rd_kafka_last_error(), "topic %s", options->position_topic);
    if (!read_topic(&reading, err))
        return false;
    reading.found.has_others = reading.others.count > 0;
    *ret_found = reading.found;
    return true;
}

bool position_topic_read(const struct kafka_options *options, const atomic_bool *stop,
                         struct position_found *ret_found, struct error *err) {
    return position_topic_read_all(options, stop, NULL, ret_found, err);
}
