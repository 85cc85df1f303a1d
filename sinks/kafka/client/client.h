/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one connection object of librdkafka: its settings, and what it last complained of.
 *
 * librdkafka works with threads of its own and retries for ever; what is wrong meanwhile it says in a
 * callback, which runs inside client_poll on the caller's thread. One thread uses one client.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "cdc/base/error.h"
#include "sinks/kafka/client/kafka_options.h"

/* Set after the sink's own and the user's properties. Ends with name NULL. */
struct client_setting {
    const char *name;
    const char *value;
};

struct client {
    rd_kafka_t *handle;               /* NULL: closed */
    const struct sink_config *config; /* whose secrets are in no text of it */
    const atomic_bool *stop;
    int64_t opened_ms;
    unsigned complaint_count; /* since then */
    struct {
        rd_kafka_resp_err_t code; /* of the last complaint that says why; RD_KAFKA_RESP_ERR_NO_ERROR: none */
        char text[512];
    } complaint;
    int64_t all_down_ms; /* when it last complained that no broker can be reached; 0: never */
    struct {
        rd_kafka_resp_err_t code; /* of the first message that was not delivered; producers only */
        char topic[TOPIC_NAME_MAX + 1];
        size_t bytes;
    } undelivered;
};

struct client_options {
    rd_kafka_type_t type;
    const struct client_setting *settings;
    const atomic_bool *stop;
};

/* Is it a property whose value nobody may see? key: "properties.NAME". */
bool client_is_secret(const char *key);

/*
 * Does librdkafka take all properties of the configuration? Looks at no file. ERROR_CONFIG, with the option.
 */
MUST_CHECK bool client_check_properties(const struct sink_config *config, struct error *err);

/*
 * Reaches out to no broker yet. ERROR_CONFIG: a property that librdkafka does not take. The client stays
 * where it is.
 */
MUST_CHECK bool client_open(struct client *client, const struct kafka_options *options,
                            const struct client_options *client_options, struct error *err);

/* What is not delivered yet is thrown away. Accepts a closed one. */
void client_close(struct client *client);

/* Serves the callbacks for at most timeout_ms. */
void client_poll(struct client *client, int timeout_ms);

static inline bool client_is_stopped(const struct client *client) {
    return atomic_load_explicit(client->stop, memory_order_relaxed);
}

/*
 * What keeps the client from reaching the cluster, when it has complained of something that waiting does not
 * cure soon: rights and certificates (ERROR_CONFIG), or every broker down (ERROR_RETRY). True: nothing like
 * that.
 */
MUST_CHECK bool client_check(const struct client *client, struct error *err);

/* ERROR_RETRY "text: no answer in time (why)"; returns false. */
bool client_timed_out(const struct client *client, struct error *err, const char *text);
