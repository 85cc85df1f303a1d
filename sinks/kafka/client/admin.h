/* SPDX-License-Identifier: Apache-2.0 */
/*
 * admin.h - what the sink asks of the cluster besides producing: topics and settings. Each call waits for its
 * answer.
 */
#pragma once

#include "sinks/kafka/client/client.h"

struct topic_definition {
    const char *name;
    int partitions;
    int replication;                       /* -1: the broker's default */
    const struct client_setting *settings; /* ends with name NULL */
    bool only_asked;                       /* would it be created? It is not. */
};

struct topic_facts {
    int partitions; /* 0: there is no such topic */
    int replicas;   /* of its first partition */
};

MUST_CHECK bool admin_describe_topic(struct client *client, const char *topic, struct topic_facts *ret_facts,
                                     struct error *err);

/* The number of a broker, -1 when there is none; proves that the cluster can be reached. */
MUST_CHECK bool admin_find_broker(struct client *client, int *ret_broker, struct error *err);

/* One that exists already is left as it is. */
MUST_CHECK bool admin_create_topic(struct client *client, const struct topic_definition *definition,
                                   struct error *err);

/*
 * The same for several in one request; *ret_there of each: false when it was refused, whose reason
 * admin_create_topic tells.
 */
MUST_CHECK bool admin_create_topics(struct client *client, const struct topic_definition *definitions,
                                    size_t count, bool *ret_there, struct error *err);

/*
 * Asks where the topic's partitions are, for at most half a second; without an answer nothing is lost. Of a
 * topic that is new to it librdkafka asks at its next full second only, and sends nothing before.
 */
void admin_learn_topic(struct client *client, rd_kafka_topic_t *topic);

/* The same for every topic that the client has a handle of. */
void admin_learn_topics(struct client *client);

/* One that is gone already is no error. */
MUST_CHECK bool admin_delete_topic(struct client *client, const char *topic, struct error *err);

#define ADMIN_VALUE_MAX 128

/* A setting of a topic or broker; value "" when the cluster did not tell. */
struct admin_setting {
    const char *name;
    char value[ADMIN_VALUE_MAX];
};

/*
 * Fills in the values. Not allowed to ask: all values are "" and *ret_known is false. resource: a topic, or a
 * broker's number as text.
 */
MUST_CHECK bool admin_read_settings(struct client *client, rd_kafka_ResourceType_t type, const char *resource,
                                    struct admin_setting *settings, size_t count, bool *ret_known,
                                    struct error *err);

enum topic_state {
    TOPIC_UNTOLD, /* not allowed to ask, or no answer for it */
    TOPIC_MISSING,
    TOPIC_THERE,
};

/* What the cluster says of one of several topics. */
struct topic_answer {
    const char *name;
    enum topic_state state;
    struct admin_setting setting; /* its name is the caller's */
};

/* Asks for a setting of each of several topics in one request. */
MUST_CHECK bool admin_ask_topics(struct client *client, struct topic_answer *topics, size_t count,
                                 struct error *err);
