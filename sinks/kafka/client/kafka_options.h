/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_options.h - reads and checks the sink's section of the configuration file and fills in the defaults.
 */
#pragma once

#include "cdc/base/error.h"
#include "sinks/formats/format.h"
#include "sinks/formats/topic_name.h"
#include "sinks/sink.h"

#define KAFKA_NAME_MAX                                                                                       \
    128 /* of a topic or id made of "pgcdc", pipeline and sink: names of 50 characters at most */

/* ASIDE: the message alone goes to the dead-letter topic. DEAD_LETTER: letters.c */
enum oversized_action { OVERSIZED_STOP, OVERSIZED_ASIDE, OVERSIZED_DEAD_LETTER };

struct kafka_options {
    const struct sink_config *config;
    const char *brokers;
    const char *topic_template;
    const struct format_ops *format;
    const char *password_file;
    int partitions;
    int replication;            /* -1: the broker's default */
    const char *cleanup_policy; /* NULL: the broker's default */
    enum oversized_action oversized;
    const char *dead_letter_topic; /* not NULL unless OVERSIZED_STOP */
    uint64_t dead_letter_limit;
    const char *transaction_topic; /* NULL: none */
    const char *schema_topic;      /* NULL: none */
    bool headers;
    uint64_t transaction_changes; /* a source transaction with more is split */
    uint64_t transaction_bytes;
    int transaction_timeout_ms;
    int copy_timeout_ms; /* the timeout of the one transaction of the initial copy */
    char transactional_id[KAFKA_NAME_MAX];
    char position_topic[TOPIC_NAME_MAX + 1];
    bool owns_position_topic; /* position_topic is not set: no other pipeline's positions are in it */
    char position_key[KAFKA_NAME_MAX];
};

extern const struct option_spec KAFKA_OPTIONS[];

/* ERROR_CONFIG names the key and the expected values, never a value of properties. */
MUST_CHECK bool kafka_options_read(struct kafka_options *options, const struct sink_config *config,
                                   struct error *err);

/*
 * The key of the sink's own topic with this name, or with a name that Kafka does not distinguish from it;
 * NULL: none.
 */
const char *kafka_options_own(const struct kafka_options *options, const char *topic);
