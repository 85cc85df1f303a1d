/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_error.h - turns librdkafka's errors into those of the sink contract.
 *
 * CONFIG  rights, names and settings that an operator must change
 * DATA    a message is too large
 * REFUSE  the producer may be fenced. Only may: a broker that ended a transaction for its age says the same,
 *         so the caller reads whose claim the position topic holds, and decides
 * RETRY   everything else: fatal, abortable and ambiguous ones need a new producer
 */
#pragma once

#include <librdkafka/rdkafka.h>

#include "cdc/base/error.h"

enum error_kind kafka_error_kind(rd_kafka_resp_err_t code);

/* Is the error a missing right on a topic or on a transactional.id? */
bool kafka_error_is_right(const struct error *err);

/* Sets "what: reason" in one line, with the remedy where one is known; returns false. */
bool kafka_error_quote(struct error *err, rd_kafka_resp_err_t code, const char *what, const char *reason);

/* Sets "formatted text: text of the code"; returns false. */
bool kafka_error_set(struct error *err, rd_kafka_resp_err_t code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same with the error's own text; destroys the error. */
bool kafka_error_take(struct error *err, rd_kafka_error_t *error, const char *format, ...) PRINTF_LIKE(3, 4);
