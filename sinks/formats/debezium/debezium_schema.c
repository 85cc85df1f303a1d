/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_schema.c - the Kafka Connect schemas that precede a key and a value.
 *
 * They are those of Debezium's connector, as Kafka's JSON converter writes them, as far as the stream
 * allows: a column outside the key may be null, and none has a default. tests/golden/debezium holds
 * Debezium's own.
 */
#include "sinks/formats/debezium/debezium_schema.h"

#include <assert.h>
#include <stdlib.h>

#include "cdc/base/json_text.h"
#include "sinks/formats/debezium/debezium_time.h"

#define SCHEMA_BYTES_MAX ((size_t) 64 << 20) /* 1600 columns, and names whose every byte is escaped */
#define ALL_BYTES_MAX ((size_t) 16 << 20)    /* above this all are dropped and made again as needed */

#define FIELD(type, optional, name) "{\"type\":\"" type "\",\"optional\":" optional ",\"field\":\"" name "\"}"
#define ENUM_OF_SNAPSHOT                                                                                     \
    "{\"type\":\"string\",\"optional\":true,\"name\":\"io.debezium.data.Enum\",\"version\":1,"               \
    "\"parameters\":{\"allowed\":\"true,first,first_in_data_collection,last_in_data_collection,last,false,"  \
    "incremental\"},\"default\":\"false\",\"field\":\"snapshot\"}"

/* The fields of the envelope after before and after. */
/* clang-format off */
static const char ENVELOPE_REST[] =
    ",{\"type\":\"struct\",\"fields\":["
    FIELD("string", "false", "version") ","
    FIELD("string", "false", "connector") ","
    FIELD("string", "false", "name") ","
    FIELD("int64", "false", "ts_ms") ","
    ENUM_OF_SNAPSHOT
    ","
    FIELD("string", "false", "db") ","
    FIELD("string", "true", "sequence") ","
    FIELD("int64", "true", "ts_us") ","
    FIELD("int64", "true", "ts_ns") ","
    FIELD("string", "false", "schema") ","
    FIELD("string", "false", "table") ","
    FIELD("int64", "true", "txId") ","
    FIELD("int64", "true", "lsn") ","
    FIELD("int64", "true", "xmin") ","
    FIELD("string", "true", "origin") ","
    FIELD("int64", "true", "origin_lsn")
    "],\"optional\":false,\"name\":\"io.debezium.connector.postgresql.Source\",\"version\":1,\""
    "field\":\"source\"},"
    "{\"type\":\"struct\",\"fields\":["
    FIELD("string", "false", "id") ","
    FIELD("int64", "false", "total_order") ","
    FIELD("int64", "false", "data_collection_order")
    "],\"optional\":true,\"name\":\"event.block\",\"version\":1,\"field\":\"transaction\"},"
    FIELD("string", "false", "op") ","
    FIELD("int64", "true", "ts_ms") ","
    FIELD("int64", "true", "ts_us") ","
    FIELD("int64", "true", "ts_ns")
    "],\"optional\":false,\"name\":\"";
/* clang-format on */

/* clang-format off */
const char DEBEZIUM_TRANSACTION_KEY_SCHEMA[] =
    "{\"schema\":{\"type\":\"struct\",\"fields\":["
    FIELD("string", "false", "id")
    "],\"optional\":false,\"name\":\"io.debezium.connector.common."
    "TransactionMetadataKey\",\"version\":1},\"payload\":";
/* clang-format on */

/* clang-format off */
const char DEBEZIUM_TRANSACTION_VALUE_SCHEMA[] =
    "{\"schema\":{\"type\":\"struct\",\"fields\":["
    FIELD("string", "false", "status") ","
    FIELD("string", "false", "id") ","
    FIELD("int64", "true", "event_count")
    ",{\"type\":\"array\",\"items\":{\"type\":\"struct\",\"fields\":["
    FIELD("string", "false", "data_collection") ","
    FIELD("int64", "false", "event_count")
    "],\"optional\":false,\"name\":\"event.collection\",\"version\":1},\"optional\":true,"
    "\"field\":\"data_collections\"},"
    FIELD("int64", "false", "ts_ms")
    "],\"optional\":false,\"name\":\"io.debezium.connector.common.TransactionMetadataValue\",\""
    "version\":1},\"payload\":";
/* clang-format on */

/* ---- one type, without the brace that ends it: a field's name may follow ---- */

static void append_plain(struct buffer *json, const char *type, bool optional) {
    buffer_printf(json, "{\"type\":\"%s\",\"optional\":%s", type, optional ? "true" : "false");
}

static void append_named(struct buffer *json, const char *type, bool optional, const char *name) {
    append_plain(json, type, optional);
    buffer_printf(json, ",\"name\":\"%s\",\"version\":1", name);
}

/* The type's name without an array's underscore. */
static struct slice element_name(const struct column *column, const struct debezium_type *type) {
    struct slice name = column->type_name;
    if (type->is_array && name.size > 1)
        name = (struct slice){.data = name.data + 1, .size = name.size - 1};
    return name;
}

static bool is_type(const struct column *column, const struct debezium_type *type, const char *name) {
    return slice_equal(element_name(column, type), slice_of(name));
}

static void append_integer(const struct column *column, const struct debezium_type *type, bool optional,
                           struct buffer *json) {
    const char *name = is_type(column, type, "int2")   ? "int16"
                       : is_type(column, type, "int4") ? "int32"
                                                       : "int64";
    append_plain(json, name, optional);
}

/* The semantic type of a text; a user-defined type with the name of a built-in one is plain text. */
static void append_text(const struct column *column, const struct debezium_type *type, bool optional,
                        struct buffer *json) {
    static const struct {
        const char *type;
        const char *name;
        bool in_catalog;
    } NAMES[] = {{"json", "io.debezium.data.Json", true},         {"jsonb", "io.debezium.data.Json", true},
                 {"xml", "io.debezium.data.Xml", true},           {"uuid", "io.debezium.data.Uuid", true},
                 {"tsvector", "io.debezium.data.Tsvector", true}, {"ltree", "io.debezium.data.Ltree", false}};
    const bool in_catalog = slice_equal(column->type_schema, slice_of("pg_catalog"));
    for (size_t i = 0; i < sizeof NAMES / sizeof *NAMES; i++)
        if (NAMES[i].in_catalog == in_catalog && is_type(column, type, NAMES[i].type)) {
            append_named(json, "string", optional, NAMES[i].name);
            return;
        }
    append_plain(json, "string", optional);
}

static void append_decimal(bool optional, int32_t scale, int32_t precision, struct buffer *json) {
    append_named(json, "bytes", optional, "org.apache.kafka.connect.data.Decimal");
    buffer_printf(json, ",\"parameters\":{\"scale\":\"%d\"", scale);
    if (precision > 0)
        buffer_printf(json, ",\"connect.decimal.precision\":\"%d\"", precision);
    buffer_append_text(json, "}");
}

/* A negative scale of PostgreSQL becomes scale 0 with as many more digits. */
static void append_precise(const struct debezium_type *type, bool optional, struct buffer *json) {
    int32_t scale, precision;
    if (debezium_numeric_modifier(type->modifier, &precision, &scale)) {
        append_decimal(optional, scale > 0 ? scale : 0, scale > 0 ? precision : precision - scale, json);
        return;
    }
    buffer_append_text(json, "{\"type\":\"struct\",\"fields\":[" FIELD("int32", "false", "scale") "," FIELD(
                                 "bytes", "false", "value") "],\"optional\":");
    buffer_printf(
        json,
        "%s,\"name\":\"io.debezium.data.VariableScaleDecimal\",\"version\":1,\"doc\":\"Variable scaled "
        "decimal\"",
        optional ? "true" : "false");
}

static void append_number(const struct debezium_options *options, const struct debezium_type *type,
                          bool optional, struct buffer *json) {
    switch (options->decimal) {
    case DECIMAL_PRECISE:
        if (type->kind == KIND_MONEY)
            append_decimal(optional, options->money_fraction_digits, 0, json);
        else
            append_precise(type, optional, json);
        return;
    case DECIMAL_DOUBLE:
        append_plain(json, "double", optional);
        return;
    case DECIMAL_STRING:
        append_plain(json, "string", optional);
        return;
    }
    assert(false);
}

static void append_binary(const struct debezium_options *options, bool optional, struct buffer *json) {
    append_plain(json, options->binary == BINARY_BYTES ? "bytes" : "string", optional);
}

static void append_bits(const struct debezium_type *type, bool optional, struct buffer *json) {
    if (type->modifier == 1) {
        append_plain(json, "boolean", optional);
        return;
    }
    append_named(json, "bytes", optional, "io.debezium.data.Bits");
    buffer_printf(json, ",\"parameters\":{\"length\":\"%d\"}",
                  type->modifier > 0 ? type->modifier : INT32_MAX);
}

static void append_date(const struct debezium_options *options, bool optional, struct buffer *json) {
    if (options->time == TIME_ISOSTRING)
        append_named(json, "string", optional, "io.debezium.time.IsoDate");
    else
        append_named(json, "int32", optional,
                     options->time == TIME_CONNECT ? "org.apache.kafka.connect.data.Date"
                                                   : "io.debezium.time.Date");
}

/* For times and timestamps, which have the same modes. */
static void append_clock(const struct debezium_options *options, const struct debezium_type *type,
                         bool optional, struct buffer *json) {
    const bool is_time = type->kind == KIND_TIME;
    const char *small = is_time ? "int32" : "int64";
    const char *suffix = is_time ? "Time" : "Timestamp";
    const bool is_adaptive =
        options->time == TIME_ADAPTIVE || (options->time == TIME_ADAPTIVE_TIME_MICROSECONDS && !is_time);
    const char *prefix = "io.debezium.time.Micro", *of = "int64";
    if (options->time == TIME_CONNECT)
        prefix = "org.apache.kafka.connect.data.", of = small;
    else if (options->time == TIME_ISOSTRING)
        prefix = "io.debezium.time.Iso", of = "string";
    else if (options->time == TIME_NANOSECONDS)
        prefix = "io.debezium.time.Nano";
    else if (is_adaptive && debezium_time_is_milliseconds(type))
        prefix = "io.debezium.time.", of = small;
    append_plain(json, of, optional);
    buffer_printf(json, ",\"name\":\"%s%s\",\"version\":1", prefix, suffix);
}

static void append_interval(const struct debezium_options *options, bool optional, struct buffer *json) {
    if (options->interval == INTERVAL_STRING)
        append_named(json, "string", optional, "io.debezium.time.Interval");
    else
        append_named(json, "int64", optional, "io.debezium.time.MicroDuration");
}

static void append_point(bool optional, struct buffer *json) {
    buffer_append_text(
        json,
        "{\"type\":\"struct\",\"fields\":[" FIELD("double", "false", "x") "," FIELD(
            "double", "false", "y") "," FIELD("bytes", "true", "wkb") "," FIELD("int32", "true", "srid") "]");
    buffer_printf(
        json,
        ",\"optional\":%s,\"name\":\"io.debezium.data.geometry.Point\",\"version\":1,\"doc\":\"Geometry "
        "(POINT)\"",
        optional ? "true" : "false");
}

static void append_geometry(const struct column *column, const struct debezium_type *type, bool optional,
                            struct buffer *json) {
    const char *name = is_type(column, type, "geography") ? "Geography" : "Geometry";
    buffer_append_text(json, "{\"type\":\"struct\",\"fields\":[" FIELD("bytes", "false", "wkb") "," FIELD(
                                 "int32", "true", "srid") "]");
    buffer_printf(json,
                  ",\"optional\":%s,\"name\":\"io.debezium.data.geometry.%s\",\"version\":1,\"doc\":\"%s\"",
                  optional ? "true" : "false", name, name);
}

static void append_hstore(const struct debezium_options *options, bool optional, struct buffer *json) {
    if (options->hstore == HSTORE_JSON) {
        append_named(json, "string", optional, "io.debezium.data.Json");
        return;
    }
    buffer_printf(
        json,
        "{\"type\":\"map\",\"keys\":{\"type\":\"string\",\"optional\":false},\"values\":{\"type\":\"string\","
        "\"optional\":true},\"optional\":%s",
        optional ? "true" : "false");
}

static void append_scalar(const struct debezium_options *options, const struct column *column,
                          const struct debezium_type *type, bool optional, struct buffer *json) {
    switch (type->kind) {
    case KIND_BOOLEAN:
        append_plain(json, "boolean", optional);
        return;
    case KIND_INTEGER:
        append_integer(column, type, optional, json);
        return;
    case KIND_FLOAT:
        append_plain(json, is_type(column, type, "float4") ? "float" : "double", optional);
        return;
    case KIND_NUMERIC:
    case KIND_MONEY:
        append_number(options, type, optional, json);
        return;
    case KIND_STRING:
        append_text(column, type, optional, json);
        return;
    case KIND_BYTES:
    case KIND_UNKNOWN:
        append_binary(options, optional, json);
        return;
    case KIND_BITS:
        append_bits(type, optional, json);
        return;
    case KIND_DATE:
        append_date(options, optional, json);
        return;
    case KIND_TIME:
    case KIND_TIMESTAMP:
        append_clock(options, type, optional, json);
        return;
    case KIND_TIMETZ:
        append_named(json, "string", optional, "io.debezium.time.ZonedTime");
        return;
    case KIND_TIMESTAMPTZ:
        append_named(json, "string", optional, "io.debezium.time.ZonedTimestamp");
        return;
    case KIND_INTERVAL:
        append_interval(options, optional, json);
        return;
    case KIND_POINT:
        append_point(optional, json);
        return;
    case KIND_HSTORE:
        append_hstore(options, optional, json);
        return;
    case KIND_GEOMETRY:
        append_geometry(column, type, optional, json);
        return;
    }
    assert(false);
}

static bool append_column(const struct debezium_options *options, const struct column *column, bool optional,
                          struct buffer *json) {
    const struct debezium_type type = debezium_type_of(column);
    const bool is_array = type.is_array && type.kind != KIND_UNKNOWN;
    if (is_array)
        buffer_append_text(json, "{\"type\":\"array\",\"items\":");
    append_scalar(options, column, &type, is_array || optional, json);
    if (is_array)
        buffer_printf(json, "},\"optional\":%s", optional ? "true" : "false");
    buffer_append_text(json, ",\"field\":");
    if (!json_append_string(json, column->name))
        return false;
    buffer_append_text(json, "}");
    return true;
}

/* ---- keys and rows ---- */

static bool append_columns(const struct debezium_schemas *schemas, const struct relation *relation,
                           bool key_only, struct buffer *json) {
    const bool has_key = relation->identity != REPLICA_IDENTITY_FULL;
    bool is_first = true;
    buffer_append_text(json, "{\"type\":\"struct\",\"fields\":[");
    for (uint32_t i = 0; i < relation->column_count; i++) {
        const struct column *column = &relation->columns[i];
        if ((key_only && !column->is_key) || !debezium_column_is_written(schemas->writer, column))
            continue;
        buffer_append_text(json, is_first ? "" : ",");
        if (!append_column(&schemas->writer->options, column, !(has_key && column->is_key), json))
            return false;
        is_first = false;
    }
    buffer_append_text(json, "]");
    return true;
}

static bool append_row(const struct debezium_schemas *schemas, const struct relation *relation,
                       const char *topic, const char *field, struct buffer *json) {
    if (!append_columns(schemas, relation, false, json))
        return false;
    buffer_printf(json, ",\"optional\":true,\"name\":\"%s.Value\",\"field\":\"%s\"}", topic, field);
    return true;
}

static bool debezium_schema_fill(const struct debezium_schemas *schemas, const struct relation *relation,
                                 const char *topic, struct debezium_schema *schema) {
    struct buffer *key = &schema->key, *value = &schema->value;
    buffer_append_text(key, "{\"schema\":");
    if (!append_columns(schemas, relation, true, key))
        return false;
    buffer_printf(key, ",\"optional\":false,\"name\":\"%s.Key\"},\"payload\":", topic);
    buffer_append_text(value, "{\"schema\":{\"type\":\"struct\",\"fields\":[");
    if (!append_row(schemas, relation, topic, "before", value))
        return false;
    buffer_append_text(value, ",");
    if (!append_row(schemas, relation, topic, "after", value))
        return false;
    buffer_append_text(value, ENVELOPE_REST);
    buffer_printf(value, "%s.Envelope\",\"version\":2},\"payload\":", topic);
    return true;
}

/* ---- those that are known ---- */

static void free_schema(struct debezium_schema *schema) {
    if (schema == NULL)
        return;
    buffer_release(&schema->key);
    buffer_release(&schema->value);
    free(schema);
}

static void forget_all(struct debezium_schemas *schemas) {
    for (size_t i = 0; i < map_slots(&schemas->known); i++)
        free_schema(map_at(&schemas->known, i));
    map_reset(&schemas->known);
    schemas->bytes = 0;
}

void debezium_schemas_init(struct debezium_schemas *schemas, const struct debezium_writer *writer,
                           const char *topic_template, struct slice source) {
    *schemas =
        (struct debezium_schemas){.writer = writer, .topic_template = topic_template, .source = source};
}

void debezium_schemas_release(struct debezium_schemas *schemas) {
    forget_all(schemas);
    map_release(&schemas->known);
}

/* key: the relation of a streamed change; NULL: of the copy. The OIDs are the same. */
static bool is_of_relation(const void *object, const void *key) {
    const struct debezium_schema *schema = object;
    return schema->relation == key;
}

static bool make(struct debezium_schemas *schemas, const struct relation *relation,
                 struct debezium_schema *schema, struct error *err) {
    char topic[TOPIC_NAME_MAX + 1];
    const struct topic_subject subject = {
        .source = schemas->source, .schema = relation->schema, .table = relation->name};
    if (!topic_name_build(schemas->topic_template, &subject, topic, err))
        return false;
    buffer_init(&schema->key, SCHEMA_BYTES_MAX);
    buffer_init(&schema->value, SCHEMA_BYTES_MAX);
    if (!debezium_schema_fill(schemas, relation, topic, schema))
        return error_set(err, ERROR_DATA, "table %s.%s: a name is not UTF-8", relation->schema.data,
                         relation->name.data);
    return (buffer_ok(&schema->key) && buffer_ok(&schema->value)) || error_no_memory(err);
}

bool debezium_schemas_find(struct debezium_schemas *schemas, const struct relation *relation, bool is_copied,
                           const struct debezium_schema **ret_schema, struct error *err) {
    const struct relation *streamed = is_copied ? NULL : relation;
    struct debezium_schema *known = map_find(&schemas->known, relation->oid, is_of_relation, streamed);
    if (known == NULL) {
        if (schemas->bytes > ALL_BYTES_MAX)
            forget_all(schemas);
        known = calloc(1, sizeof *known);
        if (known == NULL)
            return error_no_memory(err);
        known->relation = streamed;
        if (!make(schemas, relation, known, err)) {
            free_schema(known);
            return false;
        }
        if (!map_put(&schemas->known, relation->oid, is_of_relation, streamed, known)) {
            free_schema(known);
            return error_no_memory(err);
        }
        schemas->bytes += known->key.capacity + known->value.capacity + sizeof *known;
    }
    *ret_schema = known;
    return true;
}
