/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_time.h - dates, times and intervals as Debezium writes them, by time.precision.mode and
 * interval.handling.mode.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "sinks/formats/debezium/debezium_options.h"
#include "sinks/formats/debezium/debezium_type.h"

/* Is it declared with at most three digits after the decimal point? */
bool debezium_time_is_milliseconds(const struct debezium_type *type);

/* False, with undefined text appended, when the text is not PostgreSQL's for the type. */
MUST_CHECK bool debezium_time_append(const struct debezium_options *options, const struct debezium_type *type,
                                     struct slice text, struct buffer *json);
