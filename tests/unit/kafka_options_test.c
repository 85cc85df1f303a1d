/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_options_test.c - the sink's section: defaults, limits, and who may set what.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "sinks/kafka/client/client.h"
#include "sinks/kafka/client/kafka_options.h"

#define OPTIONS(...) ((const struct sink_option[]){{"brokers", "127.0.0.1:9092"}, __VA_ARGS__, {0}})

static struct sink_config config_of(const struct sink_option *options) {
    struct sink_config config = {.pipeline = "shop", .name = "events", .options = options};
    while (options[config.option_count].key != NULL)
        config.option_count++;
    return config;
}

static bool read(const struct sink_option *list, struct kafka_options *options, struct error *err) {
    static struct sink_config config;
    config = config_of(list);
    return kafka_options_read(options, &config, err);
}

static void expect_refusal(const struct sink_option *list, const char *names) {
    struct kafka_options options;
    struct error err = {0};
    cr_assert_not(read(list, &options, &err), "%s", names);
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_assert_not_null(strstr(err.text, names), "%s", err.text);
}

Test(kafka_options, defaults) {
    struct kafka_options options;
    struct error err = {0};
    cr_assert(read(OPTIONS({0}), &options, &err), "%s", err.text);
    cr_assert_str_eq(options.topic_template, TOPIC_TEMPLATE_DEFAULT);
    cr_assert_str_eq(options.position_topic, "pgcdc-position-shop");
    cr_assert_str_eq(options.position_key, "shop.events");
    cr_assert_str_eq(options.transactional_id, "pgcdc-shop-events");
    cr_assert_str_eq(options.format->name, "protobuf");
    cr_assert_eq(options.partitions, 1);
    cr_assert_eq(options.replication, -1);
    cr_assert_eq(options.transaction_timeout_ms, 60000);
    cr_assert_eq(options.oversized, OVERSIZED_STOP);
}

Test(kafka_options, what_does_not_fit_is_named) {
    expect_refusal(OPTIONS({"partitions", "0"}), "partitions");
    expect_refusal(OPTIONS({"partitions", "-1"}), "partitions");
    expect_refusal(OPTIONS({"replication", "3x"}), "replication");
    expect_refusal(OPTIONS({"headers", "yes"}), "headers");
    expect_refusal(OPTIONS({"format", "avro"}), "format");
    expect_refusal(OPTIONS({"topic", "{schema}{table}"}), "topic");
    expect_refusal(OPTIONS({"oversized", "drop"}), "oversized");
    expect_refusal(OPTIONS({"oversized", "dead-letter"}), "dead_letter_topic");
    expect_refusal(OPTIONS({"transaction_changes", "0"}), "transaction_changes");
    expect_refusal(OPTIONS({"position_topic", "{table}"}), "position_topic");
    expect_refusal(OPTIONS({"position_topic", "a/b"}), "position_topic");
    expect_refusal(OPTIONS({"oversized", "dead-letter"}, {"dead_letter_topic", "a/b"}), "dead_letter_topic");
    expect_refusal(OPTIONS({"transaction_topic", "{table}"}), "transaction_topic");
    expect_refusal(OPTIONS({"properties.transaction.timeout.ms", "soon"}), "transaction.timeout.ms");
}

static bool takes_brokers(const char *brokers) {
    const struct sink_option *list = (const struct sink_option[]){{"brokers", brokers}, {0}};
    struct kafka_options options;
    struct error err = {0};
    return read(list, &options, &err);
}

Test(kafka_options, brokers_have_ports_that_are_numbers) {
    cr_assert(takes_brokers("kafka"));
    cr_assert(takes_brokers("kafka:9092"));
    cr_assert(takes_brokers("[::1]:9092, [::1],kafka-2.example.org:65535"));
    cr_assert(takes_brokers("ssl://kafka:9092"));
    cr_assert(takes_brokers("ssl://kafka"));
    cr_assert_not(takes_brokers(""));
    cr_assert_not(takes_brokers("kafka:port"));
    cr_assert_not(takes_brokers("kafka:0"));
    cr_assert_not(takes_brokers("kafka:65536"));
    cr_assert_not(takes_brokers("kafka:9092,"));
    cr_assert_not(takes_brokers("kafka:9092;kafka:9093"));
    cr_assert_not(takes_brokers("kafka:9092 kafka:9093"));
    cr_assert_not(takes_brokers(":9092"));
}

Test(kafka_options, topics_of_the_sinks_own_are_different_ones) {
    struct kafka_options options;
    struct error err = {0};
    expect_refusal(OPTIONS({"transaction_topic", "t"}, {"position_topic", "t"}), "transaction_topic");
    expect_refusal(OPTIONS({"transaction_topic", "a.b"}, {"position_topic", "a_b"}), "transaction_topic");
    expect_refusal(OPTIONS({"transaction_topic", "pgcdc-position-shop"}), "transaction_topic");
    expect_refusal(OPTIONS({"dead_letter_topic", "t"}, {"transaction_topic", "t"}), "dead_letter_topic");
    expect_refusal(OPTIONS({"schema_topic", "t"}, {"transaction_topic", "t"}), "schema_topic");
    expect_refusal(OPTIONS({"dead_letter_topic", "all"}, {"topic", "all"}), "dead_letter_topic");
    cr_assert(read(OPTIONS({"transaction_topic", "t"}, {"dead_letter_topic", "d"}), &options, &err), "%s",
              err.text);
    cr_assert_str_eq(kafka_options_own(&options, "t"), "transaction_topic");
    cr_assert_str_eq(kafka_options_own(&options, "pgcdc-position-shop"), "position_topic");
    cr_assert_null(kafka_options_own(&options, "tt"));
}

static void expect_property_refusal(const char *key, const char *value, const char *says) {
    const struct client_options client_options = {.type = RD_KAFKA_PRODUCER,
                                                  .settings = (const struct client_setting[]){{NULL, NULL}}};
    const struct sink_option *list = OPTIONS({key, value}); /* options point into it */
    struct kafka_options options;
    struct client client;
    struct error err = {0};
    cr_assert(read(list, &options, &err), "%s", err.text);
    cr_assert_not(client_open(&client, &options, &client_options, &err), "%s", key);
    cr_assert_eq(err.kind, ERROR_CONFIG);
    cr_assert_not_null(strstr(err.text, says), "%s", err.text);
}

Test(kafka_options, properties_are_checked_by_librdkafka) {
    expect_property_refusal("properties.compresion.codec", "zstd", "compresion.codec");
    expect_property_refusal("properties.linger.ms", "soon", "linger.ms");
}

Test(kafka_options, what_librdkafka_puts_darkly_is_said_clearly) {
    expect_property_refusal("properties.ssl.ca.location", "/nowhere/ca.pem", "/nowhere/ca.pem: No such file");
    expect_property_refusal("properties.security.protocol", "sasl_ssl", "sasl.mechanisms is missing");
}

Test(kafka_options, what_exactly_once_needs_cannot_be_set) {
    expect_property_refusal("properties.acks", "1", "exactly once");
    expect_property_refusal("properties.enable.idempotence", "false", "exactly once");
    expect_property_refusal("properties.transactional.id", "x", "transactional.id");
}

Test(kafka_options, a_secret_is_not_repeated) {
    const struct client_options client_options = {.type = RD_KAFKA_PRODUCER,
                                                  .settings = (const struct client_setting[]){{NULL, NULL}}};
    const struct sink_option *list = OPTIONS({"properties.ssl.key.pem", "sesame"});
    struct kafka_options options;
    struct client client;
    struct error err = {0};
    cr_assert(read(list, &options, &err), "%s", err.text);
    if (!client_open(&client, &options, &client_options, &err))
        cr_assert_null(strstr(err.text, "sesame"), "%s", err.text);
    else
        client_close(&client);
}

/* The configuration file knows a sink's keys from its table alone. */
Test(kafka_options, every_key_of_a_format_is_a_key_of_the_sink) {
    const struct format_ops *format = NULL;
    for (size_t i = 0; (format = format_at(i)) != NULL; i++)
        for (const struct option_spec *spec = format->options; spec->key != NULL; spec++) {
            bool found = false;
            for (const struct option_spec *own = KAFKA_OPTIONS; own->key != NULL; own++)
                found = found || strcmp(own->key, spec->key) == 0;
            cr_assert(found, "key %s of format %s is not in KAFKA_OPTIONS", spec->key, format->name);
        }
}
