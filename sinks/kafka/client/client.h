/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.h - one client handle of librdkafka: its settings and its last complaint.
 *
 * librdkafka has its own threads and retries forever. It reports problems in a callback, which runs inside
 * client_poll on the caller's thread. A client is used by one thread.
 */
#pragma once

#include <librdkafka/rdkafka.h>
#include <stdatomic.h>

#include "cdc/base/error.h"
#include "sinks/kafka/client/kafka_options.h"

/* Set after the sink's defaults and the user's properties. Ends with name NULL. */
struct client_setting {
    const char *name;
    const char *value;
};

struct client {
    rd_kafka_t *handle;               /* NULL: closed */
    const struct sink_config *config; /* its secrets are removed from every text */
    const atomic_bool *stop;
    int64_t opened_ms;
    unsigned complaint_count; /* since then */
    struct {
        rd_kafka_resp_err_t
            code; /* of the last complaint that gives a reason; RD_KAFKA_RESP_ERR_NO_ERROR: none */
        char text[512];
    } complaint;
    int64_t all_down_ms; /* when it last reported that no broker can be reached; 0: never */
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

/* Is the property's value a secret? key: "properties.NAME". */
bool client_is_secret(const char *key);

/*
 * Does librdkafka accept all properties of the configuration? Reads no file. ERROR_CONFIG names the option.
 */
MUST_CHECK bool client_check_properties(const struct sink_config *config, struct error *err);

/*
 * Does not connect to a broker yet. ERROR_CONFIG: librdkafka refuses a property. The struct must not move
 * while the client is open.
 */
MUST_CHECK bool client_open(struct client *client, const struct kafka_options *options,
                            const struct client_options *client_options, struct error *err);

/* Discards undelivered messages. Accepts a closed client. */
void client_close(struct client *client);

/* Serves the callbacks for at most timeout_ms. */
void client_poll(struct client *client, int timeout_ms);

static inline bool client_is_stopped(const struct client *client) {
    return atomic_load_explicit(client->stop, memory_order_relaxed);
}

/*
 * False when the client has complained of something that waiting does not soon resolve: rights and
 * certificates (ERROR_CONFIG), or every broker down (ERROR_RETRY).
 */
MUST_CHECK bool client_check(const struct client *client, struct error *err);

/* ERROR_RETRY "text: no answer in time (why)"; returns false. */
bool client_timed_out(const struct client *client, struct error *err, const char *text);
