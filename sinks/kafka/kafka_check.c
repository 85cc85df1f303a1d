/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_check.c - finds what would prevent the sink from working, without changing anything.
 *
 * Whether a topic can be created is asked with a request that the cluster only validates. The right to the
 * transactional.id shows only in its use, which fences a running engine: so it is tested only while there is
 * no position, and thus no engine.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/amount.h"
#include "cdc/base/buffer.h"
#include "cdc/base/shell_word.h"
#include "sinks/kafka/client/acl_command.h"
#include "sinks/kafka/client/admin.h"
#include "sinks/kafka/client/kafka_error.h"
#include "sinks/kafka/kafka.h"

enum { WHAT_BYTES = ERROR_TEXT_MAX, FIX_BYTES = 65536 };

struct checking {
    const struct kafka_options *options;
    const struct sink_check *check;
    struct client client; /* a producer without a transactional.id: it fences no other */
    const char *topic;    /* that the next findings are about; NULL: none */
};

#define TOPIC_RIGHTS                                                                                         \
    "--operation Describe --operation DescribeConfigs --operation Read --operation Write --operation Create"

PRINTF_LIKE(5, 6)
static void kafka_check_report(const struct checking *checking, enum sink_severity severity, const char *code,
                               const char *fix, const char *format, ...) {
    const struct sink_check *check = checking->check;
    char what[WHAT_BYTES];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    sink_check_add(check, severity, code, "%s", what);
    if (fix[0] != '\0')
        sink_check_fix(check, "%s", fix);
    if (checking->topic != NULL && strstr(what, checking->topic) != NULL)
        sink_check_object(check, checking->topic);
}

/*
 * Reports the command that grants the sink's user these operations on a resource. The resource is in the
 * form of kafka-acls: "--topic" and its name.
 */
static void report_right(const struct checking *checking, const char *code, const char *operations,
                         const char *option, const char *name, const char *reason) {
    const struct acl_command command = acl_command(checking->options->config, operations, option, name);
    kafka_check_report(checking, SINK_PROBLEM, code, command.text, "%s", reason);
}

/* Reports missing rights as a finding, so that the check continues. topic: the topic they concern. */
static bool kafka_check_settle(const struct checking *checking, const char *topic, bool done,
                               const struct error *err) {
    if (done || err->kind != ERROR_CONFIG)
        return done;
    if (kafka_error_is_right(err))
        report_right(checking, "rights", TOPIC_RIGHTS, "--topic", topic, err->text);
    else
        kafka_check_report(checking, SINK_PROBLEM, "rights",
                           "correct the name, or the option that the cluster refuses", "%s", err->text);
    return true;
}

/* The command that changes a topic's setting. A list needs brackets, and these need quotes in the shell. */
static const char *alter(const struct checking *checking, const char *topic, const char *setting,
                         const char *value, struct buffer *fix) {
    const bool is_list = strchr(value, ',') != NULL;
    buffer_printf(fix, "kafka-configs --bootstrap-server %s --alter --entity-type topics --entity-name %s",
                  shell_word(sink_config_find(checking->options->config, "brokers")).text, topic);
    buffer_printf(fix, " --add-config %s%s=%s%s%s", is_list ? "'" : "", setting, is_list ? "[" : "", value,
                  is_list ? "]'" : "");
    const char *text = buffer_text(fix);
    return text != NULL ? text : "";
}

/* ---- the cluster ---- */

static const char *remedy_of(const struct error *err) {
    if (strstr(err->text, "certificate") != NULL)
        return "correct ssl.ca.location, ssl.certificate.location and ssl.key.location in properties, or the "
               "broker's name in brokers";
    if (err->kind == ERROR_CONFIG)
        return "correct sasl.username, sasl.mechanisms and the password (password_file), or grant the right";
    return "start the cluster, or correct brokers (listeners, firewall), or security.protocol in properties";
}

static bool find_cluster(struct checking *checking, int *ret_broker) {
    struct error err = {0};
    if (admin_find_broker(&checking->client, ret_broker, &err))
        return true;
    kafka_check_report(checking, SINK_PROBLEM, "connection", remedy_of(&err), "%s", err.text);
    return false;
}

static void compare_timeout(const struct checking *checking, const char *key, int timeout_ms,
                            const char *cap) {
    char fix[256];
    if (cap[0] == '\0' || timeout_ms <= strtol(cap, NULL, 10))
        return;
    snprintf(fix, sizeof fix,
             "lower %s to %s, or write transaction.max.timeout.ms=%d into every broker's properties file and "
             "restart it",
             key, cap, timeout_ms);
    kafka_check_report(checking, SINK_PROBLEM, "transaction_timeout", fix,
                       "%s is %d, but the brokers allow at most %s (transaction.max.timeout.ms)", key,
                       timeout_ms, cap);
}

static bool check_broker(struct checking *checking, int broker, struct error *err) {
    struct admin_setting settings[] = {{.name = "transaction.max.timeout.ms"}};
    bool known = false;
    char number[16];
    snprintf(number, sizeof number, "%d", broker);
    if (!admin_read_settings(&checking->client, RD_KAFKA_RESOURCE_BROKER, number, settings, 1, &known, err))
        return false;
    if (!known)
        kafka_check_report(checking, SINK_NOTE, "broker_settings", "",
                           "no right to read the brokers' settings, so timeouts were not checked");
    compare_timeout(checking, "properties.transaction.timeout.ms", checking->options->transaction_timeout_ms,
                    settings[0].value);
    if (checking->check->expects_copy)
        compare_timeout(checking, "copy_timeout_ms", checking->options->copy_timeout_ms, settings[0].value);
    return true;
}

/* ---- topics ---- */

/* The topic is missing: could it be created? */
static void ask_creation(struct checking *checking, const char *name, int partitions) {
    const struct kafka_options *options = checking->options;
    const struct client_setting settings[] = {{"cleanup.policy", options->cleanup_policy}, {NULL, NULL}};
    const struct topic_definition definition = {.name = name,
                                                .partitions = partitions,
                                                .replication = options->replication,
                                                .settings = settings,
                                                .only_asked = true};
    struct error err = {0};
    if (admin_create_topic(&checking->client, &definition, &err))
        return;
    if (kafka_error_is_right(&err))
        report_right(checking, "topic_creation", TOPIC_RIGHTS, "--topic", name, err.text);
    else
        kafka_check_report(
            checking, SINK_PROBLEM, "topic_creation",
            "correct partitions, replication and cleanup_policy of the sink, or create the topic yourself",
            "%s", err.text);
}

static void compare_replicas(const struct checking *checking, const char *name, int replicas,
                             const char *text) {
    static const char ONE_MORE[] =
        "give the topic a third replica (kafka-reassign-partitions) and min.insync.replicas=2";
    int in_sync = (int) strtol(text, NULL, 10);
    struct buffer text_of_fix AUTO(buffer_release) = {.bytes_max = FIX_BYTES};
    char wanted[16];
    snprintf(wanted, sizeof wanted, "%d", replicas > 2 ? replicas - 1 : replicas);
    const char *fix = alter(checking, name, "min.insync.replicas", wanted, &text_of_fix);
    if (in_sync > replicas)
        /* newer brokers accept the replicas that exist */
        kafka_check_report(
            checking, SINK_WARNING, "min_insync_replicas", fix,
            "topic %s has %s, but min.insync.replicas is %d: older brokers refuse every message", name,
            amount_count((uint64_t) replicas, "replica").text, in_sync);
    else if (in_sync == replicas && replicas > 1)
        kafka_check_report(checking, SINK_WARNING, "min_insync_replicas", replicas > 2 ? fix : ONE_MORE,
                           "topic %s cannot be written while one of its %d replicas is down", name, replicas);
    else if (in_sync == 1 && replicas > 1)
        kafka_check_report(
            checking, SINK_WARNING, "min_insync_replicas", replicas > 2 ? fix : ONE_MORE,
            "topic %s confirms a message when one replica of %d has it (min.insync.replicas 1): "
            "the loss of that broker loses confirmed changes",
            name, replicas);
    else if (replicas == 1)
        kafka_check_report(checking, SINK_NOTE, "replication", "",
                           "topic %s has one replica: a disk failure loses data", name);
}

static void compare_size(const struct checking *checking, const char *name, const char *text) {
    unsigned long bytes = strtoul(text, NULL, 10);
    struct buffer fix AUTO(buffer_release) = {.bytes_max = FIX_BYTES};
    if (bytes != 0 && bytes < KAFKA_BATCH_BYTES)
        kafka_check_report(
            checking, SINK_WARNING, "max_message_bytes",
            alter(checking, name, "max.message.bytes", "1048588", &fix), /* the default of Kafka */
            "topic %s accepts at most %lu bytes in one batch: batches stay below that, and a "
            "larger change stops the pipeline, or becomes a dead letter",
            name, bytes);
}

static void compare_policy(const struct checking *checking, const char *name, const char *policy) {
    const char *wanted = checking->options->cleanup_policy;
    struct buffer fix AUTO(buffer_release) = {.bytes_max = FIX_BYTES};
    if (wanted != NULL && policy[0] != '\0' && strcmp(policy, wanted) != 0)
        kafka_check_report(checking, SINK_WARNING, "cleanup_policy",
                           alter(checking, name, "cleanup.policy", wanted, &fix),
                           "topic %s has cleanup.policy %s, but cleanup_policy is %s", name, policy, wanted);
}

/* The engine refuses dead letters in a topic that keeps only the last one of a key. */
static void compare_own(const struct checking *checking, const char *name, const char *policy,
                        const char *retention_ms) {
    struct buffer fix AUTO(buffer_release) = {.bytes_max = FIX_BYTES};
    const bool has_letters = checking->options->oversized == OVERSIZED_DEAD_LETTER &&
                             strcmp(name, checking->options->dead_letter_topic) == 0;
    if (policy[0] != '\0' && strcmp(policy, KAFKA_OWN_POLICY) != 0)
        kafka_check_report(
            checking, has_letters ? SINK_PROBLEM : SINK_WARNING, "cleanup_policy",
            alter(checking, name, "cleanup.policy", KAFKA_OWN_POLICY, &fix),
            "topic %s has cleanup.policy %s, which deletes all records of a key except the last", name,
            policy);
    else if (has_letters && retention_ms[0] != '\0' && strcmp(retention_ms, "-1") != 0)
        kafka_check_report(checking, SINK_WARNING, "dead_letter_retention",
                           alter(checking, name, "retention.ms", "-1", &fix),
                           "topic %s deletes dead letters after %s ms (retention.ms)", name, retention_ms);
}

/* *ret_may false: the topic may not even be described, so it cannot be written either; reported here. */
static bool describe_topic(struct checking *checking, const char *name, struct topic_facts *ret_facts,
                           bool *ret_may, struct error *err) {
    struct error refusal = {0};
    *ret_may = admin_describe_topic(&checking->client, name, ret_facts, &refusal);
    if (*ret_may)
        return true;
    if (refusal.kind != ERROR_CONFIG) {
        *err = refusal;
        return false;
    }
    report_right(checking, "rights", TOPIC_RIGHTS, "--topic", name, refusal.text);
    return true;
}

/* Brokers refuse messages without a key in a compacted topic. is_there: the topic exists. */
static void compare_key(const struct checking *checking, const struct table *table, const char *name,
                        const char *policy, bool is_there) {
    struct buffer fix AUTO(buffer_release) = {.bytes_max = FIX_BYTES};
    bool has_key = table->identity == 'i' || (table->identity == 'd' && table->key_count > 0);
    if (!has_key && policy != NULL && strstr(policy, "compact") != NULL)
        kafka_check_report(
            checking, SINK_PROBLEM, "cleanup_policy",
            is_there
                ? alter(checking, name, "cleanup.policy", "delete", &fix)
                : "set cleanup_policy of the sink to delete, or give the table a primary key and the default "
                  "replica identity",
            "topic %s is compacted (cleanup.policy %s), but changes of table %s.%s have no primary key: "
            "Kafka refuses them",
            name, policy, table->schema, table->name);
}

/* table: NULL for one of the sink's own topics. */
static bool check_topic(struct checking *checking, const char *name, const struct table *table,
                        struct error *err) {
    struct admin_setting settings[] = {{.name = "min.insync.replicas"},
                                       {.name = "max.message.bytes"},
                                       {.name = "cleanup.policy"},
                                       {.name = "retention.ms"}};
    struct topic_facts facts;
    bool may = false, known = false;
    if (!describe_topic(checking, name, &facts, &may, err))
        return false;
    if (!may)
        return true;
    if (facts.partitions == 0) {
        ask_creation(checking, name, checking->options->partitions);
        if (table != NULL)
            compare_key(checking, table, name, checking->options->cleanup_policy, false);
        return true;
    }
    if (!admin_read_settings(&checking->client, RD_KAFKA_RESOURCE_TOPIC, name, settings, 4, &known, err))
        return false;
    if (!known)
        return true;
    compare_replicas(checking, name, facts.replicas, settings[0].value);
    compare_size(checking, name, settings[1].value);
    if (table == NULL) {
        compare_own(checking, name, settings[2].value, settings[3].value);
        return true;
    }
    compare_policy(checking, name, settings[2].value);
    compare_key(checking, table, name, settings[2].value, true);
    return true;
}

static bool settle_topic(struct checking *checking, const char *name, const struct table *table,
                         struct error *err) {
    checking->topic = name;
    const bool settled = kafka_check_settle(checking, name, check_topic(checking, name, table, err), err);
    checking->topic = NULL;
    return settled;
}

/* A table and the name of its topic. */
struct named_table {
    const struct table *table;
    char topic[TOPIC_NAME_MAX + 1]; /* "": its name makes no valid topic name */
};

/* Reports a table whose topic is one of the sink's own; returns whether it is. */
static bool has_own_name(const struct checking *checking, const struct named_table *named) {
    const char *key = kafka_options_own(checking->options, named->topic);
    if (key == NULL)
        return false;
    kafka_check_report(checking, SINK_PROBLEM, "topic_name", "change topic, or rename the sink's own topic",
                       "table %s.%s has topic %s, which Kafka does not distinguish from that of %s",
                       named->table->schema, named->table->name, named->topic, key);
    return true;
}

/* Compares as Kafka does: '.' equals '_'. */
static int compare_topics(const void *one, const void *other) {
    const char *left = ((const struct named_table *) one)->topic;
    const char *right = ((const struct named_table *) other)->topic;
    for (; *left != '\0' || *right != '\0'; left++, right++) {
        int difference = (*left == '.' ? '_' : *left) - (*right == '.' ? '_' : *right);
        if (difference != 0)
            return difference;
    }
    return 0;
}

/* Tables may share a topic: the template allows it by leaving out their names. */
static void compare_neighbours(const struct checking *checking, const struct named_table *named,
                               size_t count) {
    for (size_t i = 1; i < count; i++) {
        const struct named_table *one = &named[i - 1], *other = &named[i];
        if (other->topic[0] != '\0' && topic_names_collide(one->topic, other->topic) &&
            strcmp(one->topic, other->topic) != 0)
            kafka_check_report(
                checking, SINK_PROBLEM, "topic_name",
                "make them distinct with topic, for instance {source}.{schema}.-.{table}",
                "tables %s.%s and %s.%s have topics %s and %s, and Kafka refuses the second of two that "
                "differ in '.' and '_' only",
                one->table->schema, one->table->name, other->table->schema, other->table->name, one->topic,
                other->topic);
    }
}

static bool name_topic(const struct checking *checking, struct named_table *named, struct error *err) {
    const struct topic_subject subject = {.source = slice_of(checking->options->config->pipeline),
                                          .schema = slice_of(named->table->schema),
                                          .table = slice_of(named->table->name)};
    return topic_name_build(checking->options->topic_template, &subject, named->topic, err);
}

static bool check_table(struct checking *checking, struct named_table *named, struct error *err) {
    struct error refusal = {0};
    if (!name_topic(checking, named, &refusal)) {
        kafka_check_report(checking, SINK_PROBLEM, "topic_name", "choose a shorter template in topic", "%s",
                           refusal.text);
        return true;
    }
    if (has_own_name(checking, named))
        return true;
    return settle_topic(checking, named->topic, named->table, err);
}

static bool check_all_tables(struct checking *checking, struct named_table *named, struct error *err) {
    const struct sink_check *check = checking->check;
    for (size_t i = 0; i < check->table_count; i++) {
        named[i].table = &check->tables[i];
        if (!check_table(checking, &named[i], err))
            return false;
    }
    qsort(named, check->table_count, sizeof *named, compare_topics);
    compare_neighbours(checking, named, check->table_count);
    return true;
}

static bool check_tables(struct checking *checking, struct error *err) {
    struct named_table *named = calloc(checking->check->table_count + 1, sizeof *named);
    if (named == NULL)
        return error_no_memory(err);
    bool checked = check_all_tables(checking, named, err);
    free(named);
    return checked;
}

/* The sink's own topics, which are created when they are needed. */
static bool check_own_topics(struct checking *checking, struct error *err) {
    const struct kafka_options *options = checking->options;
    const char *const topics[] = {options->transaction_topic, options->schema_topic,
                                  options->oversized != OVERSIZED_STOP ? options->dead_letter_topic : NULL};
    for (size_t i = 0; i < sizeof topics / sizeof *topics; i++)
        if (topics[i] != NULL && !settle_topic(checking, topics[i], NULL, err))
            return false;
    return true;
}

/* ---- the position ---- */

static bool check_position_topic(struct checking *checking, struct error *err) {
    const char *name = checking->options->position_topic;
    struct admin_setting policy = {.name = "cleanup.policy"};
    struct topic_facts facts;
    bool may = false, known = false;
    struct buffer fix AUTO(buffer_release) = {.bytes_max = FIX_BYTES};
    if (!describe_topic(checking, name, &facts, &may, err))
        return false;
    if (!may)
        return true;
    if (facts.partitions == 0) {
        ask_creation(checking, name, 1);
        return true;
    }
    if (facts.partitions != 1)
        kafka_check_report(checking, SINK_PROBLEM, "position_topic", "give position_topic another name",
                           "topic %s holds the position and must have one partition, not %d", name,
                           facts.partitions);
    if (!admin_read_settings(&checking->client, RD_KAFKA_RESOURCE_TOPIC, name, &policy, 1, &known, err))
        return false;
    if (known && strcmp(policy.value, "compact") != 0)
        kafka_check_report(checking, SINK_PROBLEM, "position_topic",
                           alter(checking, name, "cleanup.policy", "compact", &fix),
                           "topic %s holds the position, and its cleanup.policy %s would delete it", name,
                           policy.value);
    return true;
}

/* Tests rights and timeout by opening a transactional producer. */
static bool check_transactions(struct checking *checking, const atomic_bool *stop, struct error *err) {
    const struct producer_options options = {.kafka = checking->options,
                                             .timeout_ms = checking->options->transaction_timeout_ms,
                                             .batch_bytes = KAFKA_BATCH_BYTES,
                                             .stop = stop};
    struct position_found found = {0};
    struct producer producer = {0};
    struct error refusal = {0};
    if (!position_topic_read(checking->options, stop, &found, &refusal)) {
        if (refusal.kind != ERROR_CONFIG) {
            *err = refusal;
            return false;
        }
        report_right(checking, "position_topic", TOPIC_RIGHTS, "--topic", checking->options->position_topic,
                     refusal.text);
        return true;
    }
    if (found.exists)
        return true;
    if (!producer_open(&producer, &options, &refusal)) {
        const char *id = checking->options->transactional_id;
        error_wrap(&refusal, "transactional.id %s", id);
        report_right(checking, "transactions", "--operation Describe --operation Write", "--transactional-id",
                     id, refusal.text);
    }
    producer_close(&producer);
    return true;
}

/* ---- all of it ---- */

/* The cluster has answered, but perhaps at another address than the one that this broker advertises. */
static bool reach_broker(struct checking *checking, int broker) {
    struct error err = {0};
    if (broker < 0 || check_broker(checking, broker, &err))
        return true;
    if (err.kind != ERROR_STOPPED)
        kafka_check_report(checking, SINK_PROBLEM, "connection", remedy_of(&err), "%s", err.text);
    return false;
}

static bool check_all(struct checking *checking, const atomic_bool *stop, struct error *err) {
    int broker = -1;
    if (!find_cluster(checking, &broker) || !reach_broker(checking, broker))
        return true;
    checking->topic = checking->options->position_topic;
    const bool settled =
        kafka_check_settle(checking, checking->topic, check_position_topic(checking, err), err);
    checking->topic = NULL;
    return settled && check_tables(checking, err) && check_own_topics(checking, err) &&
           check_transactions(checking, stop, err);
}

bool kafka_check(struct sink *sink, const struct sink_check *check, struct error *err) {
    static const struct client_setting NONE[] = {{NULL, NULL}};
    const struct client_options client_options = {
        .type = RD_KAFKA_PRODUCER, .settings = NONE, .stop = sink->stop};
    struct kafka_options options;
    struct checking checking = {.options = &options, .check = check};
    struct error refusal = {0};
    if (!kafka_options_read(&options, sink->config, &refusal) ||
        !client_open(&checking.client, &options, &client_options, &refusal)) {
        kafka_check_report(&checking, SINK_PROBLEM, "options",
                           refusal.remedy[0] != '\0' ? refusal.remedy
                                                     : "correct the sink's section of the configuration",
                           "%s", refusal.text);
        return true;
    }
    bool checked = check_all(&checking, sink->stop, err);
    client_close(&checking.client);
    return checked;
}
