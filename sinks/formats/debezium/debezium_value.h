/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_value.h - one column's value as Debezium's PostgreSQL connector and Kafka's JSON converter write
 * it.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "decoder/change.h"
#include "sinks/formats/debezium/debezium_options.h"

/* What a value is written with; one thread uses it. */
struct debezium_writer {
    struct debezium_options options;
    struct buffer bytes;   /* of a value, before they are base64 */
    bool met_nested;       /* an array of several dimensions, which no schema describes */
    struct buffer scratch; /* for the digits of a numeric, or a text before its escapes */
};

void debezium_writer_init(struct debezium_writer *writer, const struct debezium_options *options);
void debezium_writer_release(struct debezium_writer *writer);

/* Does the column stand in a row at all? */
bool debezium_column_is_written(const struct debezium_writer *writer, const struct column *column);

/*
 * The value of a column that is written. False, with anything appended, when the text is not what PostgreSQL
 * writes.
 */
MUST_CHECK bool debezium_value_append(struct debezium_writer *writer, const struct column *column,
                                      const struct value *value, struct buffer *json);
