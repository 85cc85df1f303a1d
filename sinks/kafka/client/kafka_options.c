/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_options.c - every key of the sink, its default and its limits.
 */
#include "sinks/kafka/client/kafka_options.h"

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DEFAULT_FORMAT "protobuf"

enum {
    DEFAULT_PARTITIONS = 1,
    DEFAULT_TRANSACTION_CHANGES = 100000,
    DEFAULT_DEAD_LETTERS = 1000, /* as for a postgres sink */
    DEAD_LETTERS_MOST = 100000,
    DEFAULT_TRANSACTION_BYTES = 64 * 1024 * 1024,
    DEFAULT_TRANSACTION_TIMEOUT_MS = 60000,
    DEFAULT_COPY_TIMEOUT_MS = 900000, /* the default of a broker's transaction.max.timeout.ms */
};

const struct option_spec KAFKA_OPTIONS[] = {
    {"brokers", true, "addresses of brokers: HOST:PORT[,HOST:PORT...]"},
    {"topic", false,
     "template for the names of the tables' topics, with {source} (the pipeline), {schema} and {table}",
     OPTION_TEXT, "{source}.{schema}.{table}"},
    {"format", false, "protobuf or debezium-json", OPTION_TEXT, "protobuf"},
    {"properties", false, "settings for librdkafka: compression.codec, security.protocol, ...", OPTION_MAP,
     NULL},
    {"password_file", false, "file whose first line is the SASL password (sasl.password)", OPTION_PATH, NULL},
    {"partitions", false, "number of partitions of a topic that is created", OPTION_TEXT, "1",
     .reloads = true},
    {"replication", false, "replication factor of a topic that is created", OPTION_TEXT, "the broker's",
     .reloads = true},
    {"cleanup_policy", false, "cleanup.policy of a topic that is created: delete, compact or compact,delete",
     OPTION_TEXT, "the broker's", .reloads = true},
    {"on_error", false, "a message is larger than its topic accepts: stop the pipeline, or dead_letter",
     OPTION_TEXT, "stop"},
    {"dead_letter_topic", false, "topic for such changes and those that wait for them"},
    {"dead_letter_limit", false, "most keys that wait; one more stops the pipeline", OPTION_TEXT, "1000",
     .reloads = true},
    {"oversized", false,
     "without on_error: stop, or dead-letter: such a message alone goes to dead_letter_topic", OPTION_TEXT,
     "stop"},
    {"transaction_topic", false,
     "topic for records of where source transactions begin and end, with counts per table", OPTION_TEXT,
     "none"},
    {"schema_topic", false,
     "topic for records of each table's columns: at its first record, and when they have changed",
     OPTION_TEXT, "none"},
    {"headers", false, "on: each message has headers with commit LSN, index and transaction id", OPTION_TEXT,
     "off"},
    {"transaction_changes", false,
     "a source transaction with more changes is split into several Kafka transactions", OPTION_TEXT, "100000",
     .reloads = true},
    {"transaction_bytes", false, "a source transaction with more bytes of messages is split in the same way",
     OPTION_TEXT, "67108864", .reloads = true},
    {"copy_timeout_ms", false, "limit for a copy, or a large chunk of one, that is one Kafka transaction",
     OPTION_TEXT, "900000", .reloads = true},
    {"tombstones", false,
     "protobuf: true: each delete is followed by a message without value, for compacted topics", OPTION_TEXT,
     "false"},
    {"position_topic", false, "compacted topic that stores the position", OPTION_TEXT,
     "pgcdc-position-PIPELINE"},
    {"schemas", false, "debezium-json: none, or inline: each key and value contains its Kafka Connect schema",
     OPTION_TEXT, "none"},
    {"time.precision.mode", false,
     "debezium-json: adaptive, adaptive_time_microseconds, connect, isostring, microseconds or nanoseconds",
     OPTION_TEXT, "adaptive"},
    {"decimal.handling.mode", false, "debezium-json: precise, double or string", OPTION_TEXT, "precise"},
    {"binary.handling.mode", false, "debezium-json: bytes, base64, base64-url-safe or hex", OPTION_TEXT,
     "bytes"},
    {"interval.handling.mode", false, "debezium-json: numeric or string", OPTION_TEXT, "numeric"},
    {"hstore.handling.mode", false, "debezium-json: json or map", OPTION_TEXT, "json"},
    {"money.fraction.digits", false, "debezium-json: digits after the decimal point of a money value, 0 to 9",
     OPTION_TEXT, "2"},
    {"unavailable.value.placeholder", false,
     "debezium-json: text in place of a large value that an update left unchanged", OPTION_TEXT,
     "__debezium_unavailable_value"},
    {"include.unknown.datatypes", false,
     "debezium-json: true or false: send values of types that Debezium does not know as bytes", OPTION_TEXT,
     "false"},
    {"tombstones.on.delete", false, "debezium-json: true or false: send a tombstone after each delete",
     OPTION_TEXT, "true"},
    {"skipped.operations", false, "debezium-json: a list of c, u, d and t, or none", OPTION_TEXT, "t"},
    {0},
};

static bool complain(const char *key, const char *expected, struct error *err) {
    error_set(err, ERROR_CONFIG, "%s: expected %s", key, expected);
    return error_option(err, key);
}

/* ---- single values ---- */

static const char *text_or(const struct sink_config *config, const char *key, const char *otherwise) {
    const char *value = sink_config_find(config, key);
    return value != NULL ? value : otherwise;
}

static bool read_number(const struct sink_config *config, const char *key, uint64_t least, uint64_t most,
                        uint64_t *ret_number, struct error *err) {
    const char *text = sink_config_find(config, key);
    char expected[64];
    char *end = NULL;
    if (text == NULL)
        return true;
    errno = 0;
    unsigned long long number = strtoull(text, &end, 10);
    if (!isdigit((unsigned char) text[0]) || *end != '\0' || errno != 0 || number < least || number > most) {
        snprintf(expected, sizeof expected, "a number from %llu to %llu", (unsigned long long) least,
                 (unsigned long long) most);
        return complain(key, expected, err);
    }
    *ret_number = number;
    return true;
}

static bool read_int(const struct sink_config *config, const char *key, int most, int *number,
                     struct error *err) {
    uint64_t wide = (uint64_t) *number;
    if (sink_config_find(config, key) == NULL)
        return true;
    if (!read_number(config, key, 1, (uint64_t) most, &wide, err))
        return false;
    *number = (int) wide;
    return true;
}

/* The value is one of two words; the first is the default. */
static bool read_choice(const struct sink_config *config, const char *key, const char *first,
                        const char *second, bool *ret_second, struct error *err) {
    const char *text = text_or(config, key, first);
    char expected[64];
    *ret_second = strcmp(text, second) == 0;
    if (*ret_second || strcmp(text, first) == 0)
        return true;
    snprintf(expected, sizeof expected, "%s or %s", first, second);
    return complain(key, expected, err);
}

/* ---- groups of values ---- */

static bool read_topics(struct kafka_options *options, struct error *err) {
    const struct sink_config *config = options->config;
    options->topic_template = text_or(config, "topic", TOPIC_TEMPLATE_DEFAULT);
    options->cleanup_policy = sink_config_find(config, "cleanup_policy");
    options->partitions = DEFAULT_PARTITIONS;
    options->replication = -1;
    if (!topic_template_check(options->topic_template, err))
        return error_option(err, "topic");
    return read_int(config, "partitions", 100000, &options->partitions, err) &&
           read_int(config, "replication", 1000, &options->replication, err);
}

/* One of the sink's own topics, which must not be a table's. */
static bool read_topic(const struct sink_config *config, const char *key, const char **ret_topic,
                       struct error *err) {
    const char *topic = sink_config_find(config, key);
    *ret_topic = topic;
    if (topic == NULL)
        return true;
    if (strchr(topic, '{') != NULL || topic[0] == '\0' || strlen(topic) > TOPIC_NAME_MAX)
        return complain(key, "one topic, not a template", err);
    return topic_template_check(topic, err) || (error_wrap(err, "%s", key), error_option(err, key));
}

static bool read_limit(struct kafka_options *options, struct error *err) {
    const struct sink_config *config = options->config;
    options->dead_letter_limit = DEFAULT_DEAD_LETTERS;
    if (sink_config_find(config, "dead_letter_limit") != NULL &&
        options->oversized != OVERSIZED_DEAD_LETTER) {
        error_set(err, ERROR_CONFIG, "dead_letter_limit needs on_error: dead_letter");
        return error_option(err, "dead_letter_limit");
    }
    return read_number(config, "dead_letter_limit", 1, DEAD_LETTERS_MOST, &options->dead_letter_limit, err);
}

/* oversized is older: no later change waits, and no command knows of the messages. */
static bool read_dead_letters(struct kafka_options *options, struct error *err) {
    bool oversized = false, on_error = false;
    const struct sink_config *config = options->config;
    if (!read_choice(config, "oversized", "stop", "dead-letter", &oversized, err) ||
        !read_choice(config, "on_error", "stop", "dead_letter", &on_error, err))
        return false;
    options->oversized = on_error ? OVERSIZED_DEAD_LETTER : oversized ? OVERSIZED_ASIDE : OVERSIZED_STOP;
    if (options->oversized != OVERSIZED_STOP && sink_config_find(config, "dead_letter_topic") == NULL)
        return complain("dead_letter_topic",
                        on_error ? "the topic that on_error: dead_letter needs"
                                 : "the topic that oversized: dead-letter needs",
                        err);
    return read_topic(config, "dead_letter_topic", &options->dead_letter_topic, err) &&
           read_limit(options, err);
}

static bool read_transactions(struct kafka_options *options, struct error *err) {
    const struct sink_config *config = options->config;
    options->transaction_changes = DEFAULT_TRANSACTION_CHANGES;
    options->transaction_bytes = DEFAULT_TRANSACTION_BYTES;
    options->transaction_timeout_ms = DEFAULT_TRANSACTION_TIMEOUT_MS;
    options->copy_timeout_ms = DEFAULT_COPY_TIMEOUT_MS;
    return read_number(config, "transaction_changes", 1, UINT32_MAX, &options->transaction_changes, err) &&
           read_number(config, "transaction_bytes", 1, INT64_MAX, &options->transaction_bytes, err) &&
           read_int(config, "properties.transaction.timeout.ms", INT_MAX, &options->transaction_timeout_ms,
                    err) &&
           read_int(config, "copy_timeout_ms", INT_MAX, &options->copy_timeout_ms, err);
}

static bool has_key(const struct format_ops *format, const char *key) {
    for (const struct option_spec *spec = format->options; spec->key != NULL; spec++)
        if (strcmp(spec->key, key) == 0)
            return true;
    return false;
}

/* Refuses a key of another format, which would be ignored silently. */
static bool check_format_keys(const struct kafka_options *options, struct error *err) {
    const struct sink_config *config = options->config;
    const struct format_ops *format = NULL;
    for (size_t f = 0; (format = format_at(f)) != NULL; f++)
        for (size_t i = 0; i < config->option_count; i++)
            if (has_key(format, config->options[i].key) &&
                !has_key(options->format, config->options[i].key)) {
                error_set(err, ERROR_CONFIG, "%s is a key of format %s, not of %s", config->options[i].key,
                          format->name, options->format->name);
                return error_option(err, config->options[i].key);
            }
    return true;
}

static bool read_format(struct kafka_options *options, struct error *err) {
    options->format = format_find(text_or(options->config, "format", DEFAULT_FORMAT));
    if (options->format == NULL)
        return complain("format", "protobuf or debezium-json", err);
    return check_format_keys(options, err);
}

/* Pipeline and sink consist of [a-z0-9_], so nothing must be escaped and '.' separates them. */
static bool name_things(struct kafka_options *options, struct error *err) {
    const struct sink_config *config = options->config;
    const char *topic = NULL;
    if (!read_topic(config, "position_topic", &topic, err))
        return false;
    options->owns_position_topic = topic == NULL;
    snprintf(options->transactional_id, sizeof options->transactional_id, "pgcdc-%s-%s", config->pipeline,
             config->name);
    const char *stream = sink_stream(config);
    snprintf(options->position_key, sizeof options->position_key, "%s.%s%s%s", config->pipeline, config->name,
             stream[0] != '\0' ? "/" : "", stream);
    if (topic == NULL)
        snprintf(options->position_topic, sizeof options->position_topic, "pgcdc-position-%s",
                 config->pipeline);
    else
        snprintf(options->position_topic, sizeof options->position_topic, "%s", topic);
    return true;
}

/* ---- the sink's own topics ---- */

struct own_topic {
    const char *key;
    const char *name; /* NULL: none */
};

enum { OWN_TOPICS = 4 };

static void list_own_topics(const struct kafka_options *options, struct own_topic own[OWN_TOPICS]) {
    own[0] = (struct own_topic){"position_topic", options->position_topic};
    own[1] = (struct own_topic){"dead_letter_topic", options->dead_letter_topic};
    own[2] = (struct own_topic){"transaction_topic", options->transaction_topic};
    own[3] = (struct own_topic){"schema_topic", options->schema_topic};
}

const char *kafka_options_own(const struct kafka_options *options, const char *topic) {
    struct own_topic own[OWN_TOPICS];
    list_own_topics(options, own);
    for (size_t i = 0; i < OWN_TOPICS; i++)
        if (own[i].name != NULL && topic_names_collide(own[i].name, topic))
            return own[i].key;
    return NULL;
}

/* A template without placeholders is the name of a topic. */
static bool check_own_topics(const struct kafka_options *options, struct error *err) {
    struct own_topic all[OWN_TOPICS + 1];
    list_own_topics(options, all);
    all[OWN_TOPICS] = (struct own_topic){"topic", options->topic_template};
    for (size_t i = 0; i <= OWN_TOPICS; i++)
        for (size_t j = 0; j < i; j++)
            if (all[i].name != NULL && all[j].name != NULL && topic_names_collide(all[i].name, all[j].name)) {
                error_set(err, ERROR_CONFIG,
                          "%s %s and %s %s are the same topic for Kafka; give each its own", all[j].key,
                          all[j].name, all[i].key, all[i].name);
                return error_option(err, all[i].key);
            }
    return true;
}

/* ---- brokers ---- */

/* librdkafka reads a port that is not a number as 0. */
static bool is_broker(const char *text, size_t size) {
    const char *colon = memrchr(text, ':', size);
    const char *bracket = memchr(text, ']', size);
    if (size == 0 || colon == text)
        return false;
    if (colon == NULL || colon[1] == '/' || (bracket != NULL && colon < bracket))
        return true; /* no port; the ':' belongs to PROTOCOL:// or to an IPv6 address */
    size_t digits = strspn(colon + 1, "0123456789");
    long port = strtol(colon + 1, NULL, 10);
    return digits == (size_t) (text + size - colon - 1) && port >= 1 && port <= UINT16_MAX;
}

static bool read_brokers(struct kafka_options *options, struct error *err) {
    const char *next = options->brokers = sink_config_find(options->config, "brokers");
    while (next != NULL) {
        next += strspn(next, " ");
        size_t size = strcspn(next, ",; ");
        const char *rest = next + size + strspn(next + size, " ");
        if (!is_broker(next, size) || (*rest != ',' && *rest != '\0'))
            break;
        if (*rest == '\0')
            return true;
        next = rest + 1;
    }
    return complain("brokers", "HOST:PORT[,HOST:PORT...]", err);
}

bool kafka_options_read(struct kafka_options *options, const struct sink_config *config, struct error *err) {
    *options =
        (struct kafka_options){.config = config, .password_file = sink_config_find(config, "password_file")};
    return read_brokers(options, err) && read_topics(options, err) && read_dead_letters(options, err) &&
           read_transactions(options, err) &&
           read_topic(config, "transaction_topic", &options->transaction_topic, err) &&
           read_topic(config, "schema_topic", &options->schema_topic, err) &&
           read_choice(config, "headers", "off", "on", &options->headers, err) && read_format(options, err) &&
           name_things(options, err) && check_own_topics(options, err);
}
