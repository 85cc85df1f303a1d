/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - the sink's requests to the cluster about topics and settings. Each call waits for its answer.
 */
#pragma once

#include "sinks/kafka/client/client.h"

struct topic_definition {
    const char *name;
    int partitions;
    int replication;                       /* -1: the broker's default */
    const struct client_setting *settings; /* ends with name NULL */
    bool only_asked;                       /* only asks whether it could be created */
};

struct topic_facts {
    int partitions; /* 0: the topic does not exist */
    int replicas;   /* of its first partition */
};

MUST_CHECK bool admin_describe_topic(struct client *client, const char *topic, struct topic_facts *ret_facts,
                                     struct error *err);

/* The id of a broker, -1 when there is none; proves that the cluster can be reached. */
MUST_CHECK bool admin_find_broker(struct client *client, int *ret_broker, struct error *err);

/* Creates a topic; an existing one is not changed. */
MUST_CHECK bool admin_create_topic(struct client *client, const struct topic_definition *definition,
                                   struct error *err);

/*
 * The same for several topics in one request; *ret_there of each is false when it was refused, and
 * admin_create_topic then gives the reason.
 */
MUST_CHECK bool admin_create_topics(struct client *client, const struct topic_definition *definitions,
                                    size_t count, bool *ret_there, struct error *err);

/*
 * Asks where the topic's partitions are, for at most half a second; a missing answer does no harm. Without
 * this request, librdkafka asks about a new topic only at its next full second and sends nothing before.
 */
void admin_learn_topic(struct client *client, rd_kafka_topic_t *topic);

/* Deletes a topic; a missing one is no error. */
MUST_CHECK bool admin_delete_topic(struct client *client, const char *topic, struct error *err);

#define ADMIN_VALUE_MAX 128

/* A setting of a topic or broker; value "" when the cluster did not return it. */
struct admin_setting {
    const char *name;
    char value[ADMIN_VALUE_MAX];
};

/*
 * Fills in the values. Without the right to read them all values are "" and *ret_known is false. resource: a
 * topic, or a broker's id as text.
 */
MUST_CHECK bool admin_read_settings(struct client *client, rd_kafka_ResourceType_t type, const char *resource,
                                    struct admin_setting *settings, size_t count, bool *ret_known,
                                    struct error *err);

enum topic_state {
    TOPIC_UNTOLD, /* no right to ask, or no answer for it */
    TOPIC_MISSING,
    TOPIC_THERE,
};

/* The cluster's answer about one of several topics. */
struct topic_answer {
    const char *name;
    enum topic_state state;
    struct admin_setting setting; /* the caller sets its name */
};

/* Asks for one setting of each of several topics in one request. */
MUST_CHECK bool admin_ask_topics(struct client *client, struct topic_answer *topics, size_t count,
                                 struct error *err);
