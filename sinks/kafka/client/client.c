/* SPDX-License-Identifier: Apache-2.0 */
/*
 * client.c - applies the settings in this order: the sink's defaults, the user's, those that correctness
 * needs.
 */
#include "sinks/kafka/client/client.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/password_file.h"
#include "cdc/base/shell_word.h"
#include "sinks/kafka/client/kafka_error.h"

#define PROPERTIES "properties."

/* A name may have several addresses, which librdkafka tries one after the other (localhost: ::1 first). */
enum { ALL_DOWN_AFTER_MS = 2000, ALL_DOWN_COUNTS_MS = 10000 };

/* Defaults that a user may change. */
static const struct client_setting DEFAULTS[] = {
    {"compression.codec", "zstd"},
    {"socket.nagle.disable", "true"},
    {"compression.level", "1"}, /* level 3 of zstd needs twice the processor time for a few percent */
    /*
     * Longer than a group lasts: full batches are sent at once and the rest is flushed at the group's end.
     * If the time ends before anything may be sent, librdkafka's thread spins.
     */
    {"linger.ms", "500"},
    {"queue.buffering.max.kbytes", "65536"},
    {"queue.buffering.max.messages", "200000"},
    /* The sink respects each topic's own limit; this one only has to be larger. */
    {"message.max.bytes", "67108864"},
    /* Computes the same partition as Java's client; a message without a key goes to any partition. */
    {"partitioner", "murmur2_random"},
    {"reconnect.backoff.max.ms", "2000"},
    {NULL, NULL},
};

/* Properties that a user may not set, and why. */
static const struct client_setting RESERVED[] = {
    {"bootstrap.servers", "use brokers"},
    {"metadata.broker.list", "use brokers"},
    {"transactional.id", "it is built from pipeline and sink"},
    {"enable.idempotence", "exactly once needs it"},
    {"acks", "exactly once needs all"},
    {"request.required.acks", "exactly once needs all"},
    {"isolation.level", "consumers choose it"},
    {"group.id", "a sink is not a consumer"},
    {"allow.auto.create.topics", "topics are created with partitions, replication and cleanup_policy"},
    {"delivery.report.only.error", "the sink needs it"},
    {"plugin.library.paths", "plug-ins are not loaded"},
    {NULL, NULL},
};

/* Matches words, so that new properties of a later librdkafka are covered. */
static bool is_secret(const char *name) {
    static const char *const WORDS[] = {"password",    "passphrase", "secret", ".pem",
                                        "oauthbearer", "jaas",       "token",  "kinit"};
    static const char *const OPEN[] = {"ssl.ca.pem", "ssl.certificate.pem", "ssl.crl.pem",
                                       "sasl.oauthbearer.method"};
    for (size_t i = 0; i < sizeof OPEN / sizeof *OPEN; i++)
        if (strcmp(name, OPEN[i]) == 0)
            return false;
    for (size_t i = 0; i < sizeof WORDS / sizeof *WORDS; i++)
        if (strstr(name, WORDS[i]) != NULL)
            return true;
    return false;
}

bool client_is_secret(const char *key) {
    return strncmp(key, PROPERTIES, strlen(PROPERTIES)) == 0 && is_secret(key + strlen(PROPERTIES));
}

static bool set_property(rd_kafka_conf_t *conf, const char *prefix, const char *name, const char *value,
                         struct error *err) {
    char reason[512];
    if (rd_kafka_conf_set(conf, name, value, reason, sizeof reason) == RD_KAFKA_CONF_OK)
        return true;
    error_set(err, ERROR_CONFIG, "%s%s: %s", prefix, name,
              is_secret(name) ? "librdkafka refuses this value" : reason);
    char option[128];
    snprintf(option, sizeof option, "%s%s", prefix, name);
    return error_option(err, option);
}

static bool set_all(rd_kafka_conf_t *conf, const struct client_setting *settings, struct error *err) {
    for (; settings->name != NULL; settings++)
        if (!set_property(conf, "", settings->name, settings->value, err))
            return false;
    return true;
}

static const char *find_reason(const char *name) {
    for (const struct client_setting *reserved = RESERVED; reserved->name != NULL; reserved++)
        if (strcmp(reserved->name, name) == 0)
            return reserved->value;
    return NULL;
}

/*
 * Files are checked when they are used. librdkafka's error for a missing certificate does not name the file.
 */
static bool check_file(const struct sink_option *option, struct error *err) {
    if (strncmp(option->key, PROPERTIES, strlen(PROPERTIES)) != 0)
        return true;
    static const char *const FILES[] = {"ssl.ca.location", "ssl.certificate.location", "ssl.key.location",
                                        "ssl.crl.location", "ssl.keystore.location"};
    for (size_t i = 0; i < sizeof FILES / sizeof *FILES; i++)
        if (strcmp(option->key + strlen(PROPERTIES), FILES[i]) == 0 && option->value[0] == '/' &&
            access(option->value, R_OK) != 0)
            return error_set(err, ERROR_CONFIG, "%s: %s: %s", option->key, option->value, strerror(errno));
    return true;
}

static bool set_properties(rd_kafka_conf_t *conf, const struct sink_config *config, struct error *err) {
    for (size_t i = 0; i < config->option_count; i++) {
        const struct sink_option *option = &config->options[i];
        if (strncmp(option->key, PROPERTIES, strlen(PROPERTIES)) != 0)
            continue;
        const char *name = option->key + strlen(PROPERTIES);
        const char *reason = find_reason(name);
        if (reason != NULL) {
            error_set(err, ERROR_CONFIG, "%s: cannot be set: %s", option->key, reason);
            return error_option(err, option->key);
        }
        if (!set_property(conf, PROPERTIES, name, option->value, err))
            return false;
    }
    return true;
}

/* A private key must not be readable for every user. */
static bool check_key(const struct sink_option *option, struct error *err) {
    static const char *const KEYS[] = {PROPERTIES "ssl.key.location", PROPERTIES "ssl.keystore.location",
                                       PROPERTIES "sasl.kerberos.keytab"};
    struct stat file;
    for (size_t i = 0; i < sizeof KEYS / sizeof *KEYS; i++)
        if (strcmp(option->key, KEYS[i]) == 0 && stat(option->value, &file) == 0 && S_ISREG(file.st_mode) &&
            (file.st_mode & (S_IROTH | S_IWOTH)) != 0) {
            error_set(err, ERROR_CONFIG, "%s: every user of this machine may %s %s", option->key,
                      (file.st_mode & S_IROTH) != 0 ? "read" : "change", option->value);
            return error_remedy(err, "chmod o-rwx %s", shell_word_of_file(option->value).text);
        }
    return true;
}

static bool check_files(const struct sink_config *config, struct error *err) {
    for (size_t i = 0; i < config->option_count; i++)
        if (!check_file(&config->options[i], err) || !check_key(&config->options[i], err))
            return false;
    return true;
}

static bool refuse_login(const char *what, struct error *err) {
    error_set(err, ERROR_CONFIG, PROPERTIES "security.protocol: with SASL, %s is missing", what);
    return error_option(err, PROPERTIES "security.protocol");
}

/* librdkafka notices it when it connects, and names neither file nor line. */
static bool check_login(const struct sink_config *config, struct error *err) {
    const char *protocol = sink_config_find(config, PROPERTIES "security.protocol");
    const char *mechanism = sink_config_find(config, PROPERTIES "sasl.mechanisms");
    if (mechanism == NULL)
        mechanism = sink_config_find(config, PROPERTIES "sasl.mechanism");
    const bool has_password = mechanism != NULL && (strcasecmp(mechanism, "PLAIN") == 0 ||
                                                    strncasecmp(mechanism, "SCRAM-", 6) == 0);
    if (protocol == NULL || strncasecmp(protocol, "sasl_", 5) != 0 || !has_password)
        return true;
    if (sink_config_find(config, PROPERTIES "sasl.username") == NULL)
        return refuse_login("sasl.username", err);
    if (sink_config_find(config, PROPERTIES "sasl.password") == NULL &&
        sink_config_find(config, "password_file") == NULL)
        return refuse_login("the password (password_file of the sink)", err);
    return true;
}

bool client_check_properties(const struct sink_config *config, struct error *err) {
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (conf == NULL)
        return error_no_memory(err);
    bool good = set_properties(conf, config, err) && check_login(config, err);
    rd_kafka_conf_destroy(conf);
    return good;
}

static bool set_password(rd_kafka_conf_t *conf, const struct kafka_options *options, struct error *err) {
    char password[PASSWORD_BYTES_MAX + 1];
    if (options->password_file == NULL)
        return true;
    if (!password_file_read(options->password_file, password, err))
        return false;
    bool set = set_property(conf, "", "sasl.password", password, err);
    explicit_bzero(password, sizeof password);
    return set;
}

/* ---- what librdkafka says, without a secret ---- */

static void mask(char *text, const char *value) {
    const size_t length = strlen(value);
    if (length == 0)
        return;
    for (char *found = strstr(text, value); found != NULL; found = strstr(found + length, value))
        memset(found, '*', length);
}

static void mask_secrets(const struct client *client, char *text) {
    for (size_t i = 0; i < client->config->option_count; i++)
        if (client_is_secret(client->config->options[i].key))
            mask(text, client->config->options[i].value);
}

/*
 * Cuts " (after 7ms in state CONNECT, 1 identical error(s) suppressed)" from the end: the same complaint must
 * have the same text, so that it is recognised as a repetition.
 */
static void cut_timing(char *text) {
    char *last = NULL;
    for (char *found = strstr(text, " (after "); found != NULL; found = strstr(found + 1, " (after "))
        last = found;
    if (last != NULL && strstr(last, " in state ") != NULL && last[strlen(last) - 1] == ')')
        *last = '\0';
}

/* ---- callbacks, inside client_poll ---- */

static void on_error(rd_kafka_t *handle, int code, const char *reason, void *opaque) {
    struct client *client = opaque;
    (void) handle;
    client->complaint_count++;
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN)
        client->all_down_ms = clock_now_ms();
    if (code == RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN || code == RD_KAFKA_RESP_ERR__FATAL)
        return;
    /* A refused password remains the reason, even if other complaints follow. */
    if (kafka_error_kind(client->complaint.code) == ERROR_CONFIG)
        return;
    client->complaint.code = code;
    snprintf(client->complaint.text, sizeof client->complaint.text, "%s", reason);
    cut_timing(client->complaint.text);
    mask_secrets(client, client->complaint.text);
}

/* Called only for failed messages: delivery.report.only.error. */
static void on_delivery(rd_kafka_t *handle, const rd_kafka_message_t *message, void *opaque) {
    struct client *client = opaque;
    (void) handle;
    if (message->err == RD_KAFKA_RESP_ERR_NO_ERROR || client->undelivered.code != RD_KAFKA_RESP_ERR_NO_ERROR)
        return;
    client->undelivered.code = message->err;
    client->undelivered.bytes = message->len + message->key_len;
    snprintf(client->undelivered.topic, sizeof client->undelivered.topic, "%s",
             rd_kafka_topic_name(message->rkt));
}

/* Empty, because a sink does not log. */
static void on_log(const rd_kafka_t *handle, int level, const char *facility, const char *text) {
    (void) handle;
    (void) level;
    (void) facility;
    (void) text;
}

/* ---- the client ---- */

static bool client_fill(rd_kafka_conf_t *conf, struct client *client, const struct kafka_options *options,
                        const struct client_options *client_options, struct error *err) {
    const struct client_setting own[] = {{"bootstrap.servers", options->brokers},
                                         {"client.id", options->transactional_id},
                                         {"allow.auto.create.topics", "false"},
                                         {NULL, NULL}};
    rd_kafka_conf_set_opaque(conf, client);
    rd_kafka_conf_set_error_cb(conf, on_error);
    rd_kafka_conf_set_log_cb(conf, on_log);
    if (client_options->type == RD_KAFKA_PRODUCER)
        rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
    return set_all(conf, DEFAULTS, err) && set_all(conf, own, err) && check_files(options->config, err) &&
           set_properties(conf, options->config, err) && set_password(conf, options, err) &&
           set_all(conf, client_options->settings, err);
}

/* Without sasl.mechanisms the default is Kerberos, and librdkafka's error is about that. */
static bool refuse_settings(const struct sink_config *config, const char *reason, struct error *err) {
    bool has_mechanism = sink_config_find(config, PROPERTIES "sasl.mechanisms") != NULL ||
                         sink_config_find(config, PROPERTIES "sasl.mechanism") != NULL;
    if (strstr(reason, "kerberos") != NULL && !has_mechanism)
        return error_set(err, ERROR_CONFIG,
                         "properties.sasl.mechanisms is missing (SCRAM-SHA-512, PLAIN, ...): without it, %s",
                         reason);
    return error_set(err, ERROR_CONFIG, "%s", reason);
}

bool client_open(struct client *client, const struct kafka_options *options,
                 const struct client_options *client_options, struct error *err) {
    char reason[512];
    *client =
        (struct client){.config = options->config, .stop = client_options->stop, .opened_ms = clock_now_ms()};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    if (conf == NULL)
        return error_no_memory(err);
    if (!client_fill(conf, client, options, client_options, err)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    client->handle = rd_kafka_new(client_options->type, conf, reason, sizeof reason);
    if (client->handle != NULL)
        return true;
    rd_kafka_conf_destroy(conf);
    mask_secrets(client, reason);
    return refuse_settings(options->config, reason, err);
}

void client_close(struct client *client) {
    if (client->handle == NULL)
        return;
    rd_kafka_purge(client->handle, RD_KAFKA_PURGE_F_QUEUE | RD_KAFKA_PURGE_F_INFLIGHT);
    rd_kafka_destroy_flags(client->handle, RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
    client->handle = NULL;
}

void client_poll(struct client *client, int timeout_ms) {
    rd_kafka_poll(client->handle, timeout_ms);
}

static bool is_certificate(const struct client *client) {
    return client->complaint.code == RD_KAFKA_RESP_ERR__SSL &&
           (strstr(client->complaint.text, "certificate") != NULL ||
            strstr(client->complaint.text, "verif") != NULL);
}

/* librdkafka does not report when brokers can be reached again, so an old complaint is ignored. */
static bool is_all_down(const struct client *client) {
    int64_t now_ms = clock_now_ms();
    return client->all_down_ms != 0 && now_ms - client->all_down_ms < ALL_DOWN_COUNTS_MS &&
           now_ms - client->opened_ms >= ALL_DOWN_AFTER_MS;
}

bool client_check(const struct client *client, struct error *err) {
    rd_kafka_resp_err_t code = client->complaint.code;
    if (is_certificate(client)) {
        kafka_error_set(err, code, "%s", client->complaint.text);
        err->kind = ERROR_CONFIG;
        return false;
    }
    if (code != RD_KAFKA_RESP_ERR_NO_ERROR && kafka_error_kind(code) == ERROR_CONFIG)
        return kafka_error_set(err, code, "%s", client->complaint.text);
    if (is_all_down(client))
        return error_set(err, ERROR_RETRY, "no broker can be reached: %s", client->complaint.text);
    return true;
}

/*
 * The client connects to an address of brokers ("HOST:PORT/bootstrap"), then to the address that the broker
 * advertises ("HOST:PORT/1"). A broker in a container often advertises an address that is not reachable from
 * outside, and nothing else indicates it.
 */
static const char *hint_of(const struct client *client) {
    rd_kafka_resp_err_t code = client->complaint.code;
    bool is_unreached = code == RD_KAFKA_RESP_ERR__TRANSPORT || code == RD_KAFKA_RESP_ERR__RESOLVE ||
                        code == RD_KAFKA_RESP_ERR__TIMED_OUT;
    if (!is_unreached || strstr(client->complaint.text, "/bootstrap") != NULL)
        return "";
    return "; if that broker is up, the address that it advertises cannot be reached from here: "
           "correct its advertised.listeners";
}

bool client_timed_out(const struct client *client, struct error *err, const char *text) {
    struct error reason = {0};
    if (!client_check(client, &reason)) {
        *err = reason;
        return error_wrap(err, "%s", text);
    }
    return error_set(err, ERROR_RETRY, "%s: no answer in time%s%s%s", text,
                     client->complaint.text[0] != '\0' ? "; last error: " : "", client->complaint.text,
                     hint_of(client));
}
