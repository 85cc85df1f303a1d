/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_error.c - the table of error codes and kinds.
 */
#include "sinks/kafka/client/kafka_error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

struct kind_of_code {
    rd_kafka_resp_err_t code;
    enum error_kind kind;
};

static const struct kind_of_code KINDS[] = {
    {RD_KAFKA_RESP_ERR__AUTHENTICATION, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_SASL_MECHANISM, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_VERSION, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_UNSUPPORTED_COMPRESSION_TYPE, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_CONFIG, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_PARTITIONS, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_INVALID_RECORD, ERROR_CONFIG}, /* a compacted topic refuses records without a key */
    {RD_KAFKA_RESP_ERR_POLICY_VIOLATION, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_TOPIC_EXCEPTION, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR__UNSUPPORTED_FEATURE, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR__INVALID_ARG, ERROR_CONFIG},
    {RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE, ERROR_DATA},
    {RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE, ERROR_DATA},
    {RD_KAFKA_RESP_ERR__FENCED, ERROR_REFUSE},
    {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, ERROR_REFUSE},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, ERROR_REFUSE},
    {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, ERROR_REFUSE},
    {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, ERROR_REFUSE},
    {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, ERROR_REFUSE},
};

enum error_kind kafka_error_kind(rd_kafka_resp_err_t code) {
    for (size_t i = 0; i < sizeof KINDS / sizeof *KINDS; i++)
        if (KINDS[i].code == code)
            return KINDS[i].kind;
    return ERROR_RETRY;
}

/* Makes the text one line: librdkafka quotes OpenSSL, whose texts contain newlines. */
static void to_one_line(char *text) {
    for (; *text != '\0'; text++)
        if (*text == '\n' || *text == '\r')
            *text = ' ';
}

#define GRANT_TOPIC "; grant DESCRIBE, READ, WRITE and CREATE on it"
#define GRANT_ID "; grant WRITE and DESCRIBE on it"

bool kafka_error_is_right(const struct error *err) {
    return err->kind == ERROR_CONFIG &&
           (strstr(err->text, GRANT_TOPIC) != NULL || strstr(err->text, GRANT_ID) != NULL);
}

/* The remedy, where the broker's own text does not give one. */
static const char *remedy_of(rd_kafka_resp_err_t code) {
    switch (code) {
    case RD_KAFKA_RESP_ERR_INVALID_RECORD:
        return "; a compacted topic accepts no message without a key: give the table a primary "
               "key, or set the topic's cleanup.policy to delete";
    case RD_KAFKA_RESP_ERR_INVALID_REPLICATION_FACTOR:
        return "; lower replication, or add brokers";
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
        return GRANT_TOPIC;
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return GRANT_ID;
    case RD_KAFKA_RESP_ERR_INVALID_TRANSACTION_TIMEOUT:
        return "; lower copy_timeout_ms and transaction.timeout.ms, or raise transaction.max.timeout.ms of "
               "the brokers";
    default:
        return "";
    }
}

bool kafka_error_quote(struct error *err, rd_kafka_resp_err_t code, const char *what, const char *reason) {
    error_set(err, kafka_error_kind(code), "%s: %s%s", what, reason, remedy_of(code));
    to_one_line(err->text);
    return false;
}

bool kafka_error_set(struct error *err, rd_kafka_resp_err_t code, const char *format, ...) {
    char what[ERROR_TEXT_MAX / 2];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    return kafka_error_quote(err, code, what, rd_kafka_err2str(code));
}

bool kafka_error_take(struct error *err, rd_kafka_error_t *error, const char *format, ...) {
    char what[ERROR_TEXT_MAX / 2];
    va_list values;
    va_start(values, format);
    vsnprintf(what, sizeof what, format, values);
    va_end(values);
    kafka_error_quote(err, rd_kafka_error_code(error), what, rd_kafka_error_string(error));
    rd_kafka_error_destroy(error);
    return false;
}
