/* SPDX-License-Identifier: Apache-2.0 */
/*
 * kafka_error.h - what librdkafka says, in the words and kinds of the sink contract.
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

/* Is it a right on a topic, or on a transactional.id, that is missing? */
bool kafka_error_is_right(const struct error *err);

/* Returns false with "what: reason" as one line, and what the operator may do where that is known. */
bool kafka_error_quote(struct error *err, rd_kafka_resp_err_t code, const char *what, const char *reason);

/* Returns false with "formatted text: what the code says". */
bool kafka_error_set(struct error *err, rd_kafka_resp_err_t code, const char *format, ...) PRINTF_LIKE(3, 4);

/* The same with the error's own words; destroys it. */
bool kafka_error_take(struct error *err, rd_kafka_error_t *error, const char *format, ...) PRINTF_LIKE(3, 4);
