/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_value.h - writes one column's value like Debezium's PostgreSQL connector and Kafka's JSON
 * converter.
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/attributes.h"
#include "cdc/base/buffer.h"
#include "decoder/change.h"
#include "sinks/formats/debezium/debezium_options.h"

/* The state for writing values; used by one thread. */
struct debezium_writer {
    struct debezium_options options;
    struct buffer bytes;   /* of a value, before base64 */
    bool met_nested;       /* an array of several dimensions was written, which no schema can describe */
    struct buffer scratch; /* for the digits of a numeric, or a text before its escapes */
};

void debezium_writer_init(struct debezium_writer *writer, const struct debezium_options *options);
void debezium_writer_release(struct debezium_writer *writer);

/* Is the column part of a row? */
bool debezium_column_is_written(const struct debezium_writer *writer, const struct column *column);

/*
 * Appends the value of a column for which debezium_column_is_written is true. False, with undefined text
 * appended, when the text is not PostgreSQL's.
 */
MUST_CHECK bool debezium_value_append(struct debezium_writer *writer, const struct column *column,
                                      const struct value *value, struct buffer *json);
