/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_schema.h - the Kafka Connect schemas that precede a key and a value (schemas: inline), made once
 * per table.
 */
#pragma once

#include "cdc/base/map.h"
#include "decoder/change.h"
#include "sinks/formats/debezium/debezium_value.h"
#include "sinks/formats/topic_name.h"

/* The text before a key and a value; their JSON and a '}' follow. */
struct debezium_schema {
    const struct relation *relation; /* NULL: of the copy, which has one definition per table */
    struct buffer key;
    struct buffer value;
};

struct debezium_schemas {
    const struct debezium_writer *writer;
    const char *topic_template;
    struct slice source; /* the pipeline */
    struct map known;    /* of struct debezium_schema, by OID and definition; owned */
    size_t bytes;
};

void debezium_schemas_init(struct debezium_schemas *schemas, const struct debezium_writer *writer,
                           const char *topic_template, struct slice source);
void debezium_schemas_release(struct debezium_schemas *schemas);

/*
 * The schemas for a change's relation; valid until the next call. Streamed relations outlive the schemas.
 * ERROR_CONFIG: the table has no valid topic name. ERROR_DATA: a name is not UTF-8.
 */
MUST_CHECK bool debezium_schemas_find(struct debezium_schemas *schemas, const struct relation *relation,
                                      bool is_copied, const struct debezium_schema **ret_schema,
                                      struct error *err);

/* The schemas that precede the keys and values of BEGIN and END. */
extern const char DEBEZIUM_TRANSACTION_KEY_SCHEMA[];
extern const char DEBEZIUM_TRANSACTION_VALUE_SCHEMA[];
