/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_value.c - writes one column's value like Debezium's PostgreSQL connector and Kafka's JSON
 * converter.
 *
 * README.md of this folder has the mapping with an example of each type; tests/golden/debezium holds
 * messages of Debezium.
 */
#include "sinks/formats/debezium/debezium_value.h"

#include <assert.h>
#include <stdlib.h>

#include "cdc/base/json_text.h"
#include "sinks/formats/debezium/array_text.h"
#include "sinks/formats/debezium/base64.h"
#include "sinks/formats/debezium/debezium_time.h"
#include "sinks/formats/debezium/debezium_type.h"
#include "sinks/formats/debezium/decimal.h"
#include "sinks/formats/debezium/float_text.h"
#include "sinks/formats/debezium/hstore_text.h"

enum { POINT_TEXT_MAX = 64 };

#define BYTES_MAX ((size_t) 4 << 30) /* a value has up to 1 GB; JSON's escapes lengthen it */

void debezium_writer_init(struct debezium_writer *writer, const struct debezium_options *options) {
    *writer = (struct debezium_writer){.options = *options};
    buffer_init(&writer->bytes, BYTES_MAX);
    buffer_init(&writer->scratch, BYTES_MAX);
}

void debezium_writer_release(struct debezium_writer *writer) {
    buffer_release(&writer->bytes);
    buffer_release(&writer->scratch);
}

bool debezium_column_is_written(const struct debezium_writer *writer, const struct column *column) {
    return debezium_type_of(column).kind != KIND_UNKNOWN || writer->options.include_unknown_types;
}

/* ---- bytes ---- */

static void append_hex(struct buffer *json, struct slice bytes) {
    static const char DIGITS[] = "0123456789abcdef";
    for (size_t i = 0; i < bytes.size; i++) {
        unsigned char byte = (unsigned char) bytes.data[i];
        buffer_append(json, (const char[]){DIGITS[byte >> 4], DIGITS[byte & 15]}, 2);
    }
}

/* Kafka's JSON converter writes bytes as base64. */
static void append_base64(struct buffer *json, enum base64_alphabet alphabet, struct slice bytes) {
    buffer_append_u8(json, '"');
    base64_append(json, alphabet, bytes);
    buffer_append_u8(json, '"');
}

static void append_binary(const struct debezium_writer *writer, struct slice bytes, struct buffer *json) {
    switch (writer->options.binary) {
    case BINARY_BYTES:
    case BINARY_BASE64:
        append_base64(json, BASE64_STANDARD, bytes);
        return;
    case BINARY_BASE64_URL_SAFE:
        append_base64(json, BASE64_URL_SAFE, bytes);
        return;
    case BINARY_HEX:
        buffer_append_u8(json, '"');
        append_hex(json, bytes);
        buffer_append_u8(json, '"');
        return;
    }
    assert(false);
}

/* "\x0123" */
static bool append_bytea(struct debezium_writer *writer, struct slice text, struct buffer *json) {
    struct slice digits = {.data = text.data + 2, .size = text.size - 2};
    buffer_reset(&writer->bytes);
    if (text.size < 2 || memcmp(text.data, "\\x", 2) != 0 || !hex_append_bytes(&writer->bytes, digits))
        return false;
    append_binary(writer, buffer_slice(&writer->bytes), json);
    return buffer_ok(&writer->bytes);
}

/* The bits as an integer, least significant byte first, without leading zero bytes. */
static void fill_bits(struct slice text, struct buffer *bytes) {
    buffer_reset(bytes);
    size_t size = 0;
    for (size_t at = 0; at < text.size; at += 8) {
        uint8_t byte = 0;
        for (size_t bit = 0; bit < 8 && at + bit < text.size; bit++)
            byte |= (uint8_t) ((text.data[text.size - 1 - at - bit] == '1') << bit);
        buffer_append_u8(bytes, byte);
        size = byte != 0 ? bytes->size : size;
    }
    bytes->size = size;
}

static bool append_bits(struct debezium_writer *writer, int32_t modifier, struct slice text,
                        struct buffer *json) {
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != '0' && text.data[i] != '1')
            return false;
    if (modifier == 1) {
        buffer_append_text(json, text.size > 0 && text.data[0] == '1' ? "true" : "false");
        return true;
    }
    fill_bits(text, &writer->bytes);
    append_base64(json, BASE64_STANDARD, buffer_slice(&writer->bytes));
    return buffer_ok(&writer->bytes);
}

/* ---- numbers ---- */

static bool append_boolean(struct slice text, struct buffer *json) {
    if (text.size != 1 || (text.data[0] != 't' && text.data[0] != 'f'))
        return false;
    buffer_append_text(json, text.data[0] == 't' ? "true" : "false");
    return true;
}

static bool append_integer(struct slice text, struct buffer *json) {
    if (!json_is_number(text))
        return false;
    for (size_t i = text.data[0] == '-'; i < text.size; i++)
        if (text.data[i] < '0' || text.data[i] > '9')
            return false;
    buffer_append_slice(json, text);
    return true;
}

static bool append_unscaled(struct debezium_writer *writer, const struct decimal *decimal, uint32_t scale,
                            struct buffer *json) {
    buffer_reset(&writer->bytes);
    if (!decimal_append_unscaled(decimal, scale, &writer->scratch, &writer->bytes))
        return false;
    append_base64(json, BASE64_STANDARD, buffer_slice(&writer->bytes));
    return buffer_ok(&writer->bytes);
}

static bool append_precise(struct debezium_writer *writer, int32_t modifier, struct slice text,
                           struct buffer *json) {
    struct decimal decimal;
    if (!decimal_parse(text, &decimal))
        return false;
    if (decimal.kind != DECIMAL_FINITE) {
        buffer_append_text(json, "null");
        return true;
    }
    int32_t precision, scale;
    if (debezium_numeric_modifier(modifier, &precision, &scale))
        return append_unscaled(writer, &decimal, scale > 0 ? (uint32_t) scale : 0, json);
    decimal_strip(&decimal);
    buffer_append_text(json, "{\"scale\":");
    json_append_integer(json, (int64_t) decimal.fraction.size);
    buffer_append_text(json, ",\"value\":");
    if (!append_unscaled(writer, &decimal, (uint32_t) decimal.fraction.size, json))
        return false;
    buffer_append_u8(json, '}');
    return true;
}

/* NaN and infinity are written with Debezium's words. */
static bool append_numeric_string(struct slice text, struct buffer *json) {
    static const char *const WORDS[] = {[DECIMAL_NAN] = "NAN",
                                        [DECIMAL_INFINITY] = "POSITIVE_INFINITY",
                                        [DECIMAL_MINUS_INFINITY] = "NEGATIVE_INFINITY"};
    struct decimal decimal;
    if (!decimal_parse(text, &decimal))
        return false;
    return json_append_string(json, decimal.kind == DECIMAL_FINITE ? text : slice_of(WORDS[decimal.kind]));
}

static bool append_numeric(struct debezium_writer *writer, int32_t modifier, struct slice text,
                           struct buffer *json) {
    switch (writer->options.decimal) {
    case DECIMAL_PRECISE:
        return append_precise(writer, modifier, text, json);
    case DECIMAL_DOUBLE:
        return float_append_json_nearest(json, text);
    case DECIMAL_STRING:
        return append_numeric_string(text, json);
    }
    return false;
}

/* Only the sign, digits and point of "-$1,234.50". */
static void fill_money(struct slice text, struct buffer *number) {
    buffer_reset(number);
    for (size_t i = 0; i < text.size; i++)
        if (text.data[i] != '$' && text.data[i] != ',')
            buffer_append(number, &text.data[i], 1);
}

static bool append_money(struct debezium_writer *writer, struct slice text, struct buffer *json) {
    /* decimal_append_unscaled uses the writer's other buffers. */
    struct buffer number AUTO(buffer_release) = {.bytes_max = text.size + 1};
    struct decimal decimal;
    fill_money(text, &number);
    if (!buffer_ok(&number) || !decimal_parse(buffer_slice(&number), &decimal))
        return false;
    switch (writer->options.decimal) {
    case DECIMAL_PRECISE:
        return append_unscaled(writer, &decimal, (uint32_t) writer->options.money_fraction_digits, json);
    case DECIMAL_DOUBLE:
        return float_append_json_nearest(json, buffer_slice(&number));
    case DECIMAL_STRING:
        return json_append_string(json, buffer_slice(&number));
    }
    return false;
}

/* ---- structures ---- */

/* A coordinate's text as a float8; at most POINT_TEXT_MAX bytes. */
static bool read_coordinate(struct slice text, double *ret_number) {
    char copy[POINT_TEXT_MAX];
    char *end;
    if (text.size == 0 || text.size >= sizeof copy)
        return false;
    memcpy(copy, text.data, text.size);
    copy[text.size] = '\0';
    *ret_number = strtod(copy, &end);
    return *end == '\0';
}

/* Well-known binary: little-endian, a point, its coordinates. */
static void fill_wkb_point(struct buffer *bytes, double x, double y) {
    static const char HEAD[] = {1, 1, 0, 0, 0};
    uint64_t words[2];
    memcpy(&words[0], &x, sizeof x);
    memcpy(&words[1], &y, sizeof y);
    words[0] = htole64(words[0]);
    words[1] = htole64(words[1]);
    buffer_reset(bytes);
    buffer_append(bytes, HEAD, sizeof HEAD);
    buffer_append(bytes, words, sizeof words);
}

/* "(1.5,-2)" */
static bool append_point(struct debezium_writer *writer, struct slice text, struct buffer *json) {
    const char *comma = memchr(text.data, ',', text.size);
    double x, y;
    if (comma == NULL || text.size < 5 || text.data[0] != '(' || text.data[text.size - 1] != ')')
        return false;
    struct slice x_text = {.data = text.data + 1, .size = (size_t) (comma - text.data) - 1};
    struct slice y_text = {.data = comma + 1, .size = text.size - x_text.size - 3};
    if (!read_coordinate(x_text, &x) || !read_coordinate(y_text, &y))
        return false;
    fill_wkb_point(&writer->bytes, x, y);
    buffer_append_text(json, "{\"x\":");
    if (!float_append_json(json, x_text))
        return false;
    buffer_append_text(json, ",\"y\":");
    if (!float_append_json(json, y_text))
        return false;
    buffer_append_text(json, ",\"wkb\":");
    append_base64(json, BASE64_STANDARD, buffer_slice(&writer->bytes));
    buffer_append_text(json, ",\"srid\":null}");
    return buffer_ok(&writer->bytes);
}

/* One member of the object, after those before it. */
static bool append_member(struct buffer *json, bool is_first, struct slice key, const struct slice *value) {
    if (!is_first)
        buffer_append_u8(json, ',');
    if (!json_append_string(json, key))
        return false;
    buffer_append_u8(json, ':');
    if (value != NULL)
        return json_append_string(json, *value);
    buffer_append_text(json, "null");
    return true;
}

static bool append_pairs(struct hstore_text *hstore, struct buffer *json) {
    buffer_append_u8(json, '{');
    for (bool is_first = true;; is_first = false) {
        bool is_pair, is_null;
        if (!hstore_text_next(hstore, &is_pair, &is_null))
            return false;
        if (!is_pair)
            break;
        struct slice value = buffer_slice(&hstore->value);
        if (!append_member(json, is_first, buffer_slice(&hstore->key), is_null ? NULL : &value))
            return false;
    }
    buffer_append_u8(json, '}');
    return true;
}

static bool append_hstore(struct debezium_writer *writer, struct slice text, struct buffer *json) {
    struct hstore_text hstore AUTO(hstore_text_release);
    hstore_text_init(&hstore, text);
    if (writer->options.hstore == HSTORE_MAP)
        return append_pairs(&hstore, json);
    buffer_reset(&writer->scratch);
    return append_pairs(&hstore, &writer->scratch) && buffer_ok(&writer->scratch) &&
           json_append_string(json, buffer_slice(&writer->scratch));
}

/* PostGIS writes extended well-known binary in hexadecimal; the SRID is in its head when a flag says so. */
static bool append_geometry(struct debezium_writer *writer, struct slice text, struct buffer *json) {
    enum { SRID_FLAG = 0x20000000, HEAD_BYTES = 9 };
    struct buffer *bytes = &writer->bytes;
    buffer_reset(bytes);
    if (!hex_append_bytes(bytes, text) || !buffer_ok(bytes) || bytes->size < HEAD_BYTES)
        return false;
    uint32_t words[2];
    memcpy(words, bytes->data + 1, sizeof words);
    bool is_little = bytes->data[0] == 1;
    uint32_t type = is_little ? le32toh(words[0]) : be32toh(words[0]);
    uint32_t srid = is_little ? le32toh(words[1]) : be32toh(words[1]);
    buffer_append_text(json, "{\"wkb\":");
    append_base64(json, BASE64_STANDARD, buffer_slice(bytes));
    buffer_append_text(json, ",\"srid\":");
    if ((type & SRID_FLAG) != 0)
        json_append_integer(json, srid);
    else
        buffer_append_text(json, "null");
    buffer_append_u8(json, '}');
    return true;
}

/* ---- dispatch ---- */

static bool append_scalar(struct debezium_writer *writer, const struct debezium_type *type, struct slice text,
                          struct buffer *json) {
    switch (type->kind) {
    case KIND_BOOLEAN:
        return append_boolean(text, json);
    case KIND_INTEGER:
        return append_integer(text, json);
    case KIND_FLOAT:
        return float_append_json(json, text);
    case KIND_NUMERIC:
        return append_numeric(writer, type->modifier, text, json);
    case KIND_MONEY:
        return append_money(writer, text, json);
    case KIND_STRING:
        return json_append_string(json, text);
    case KIND_BYTES:
        return append_bytea(writer, text, json);
    case KIND_BITS:
        return append_bits(writer, type->modifier, text, json);
    case KIND_DATE:
    case KIND_TIME:
    case KIND_TIMETZ:
    case KIND_TIMESTAMP:
    case KIND_TIMESTAMPTZ:
    case KIND_INTERVAL:
        return debezium_time_append(&writer->options, type, text, json);
    case KIND_POINT:
        return append_point(writer, text, json);
    case KIND_HSTORE:
        return append_hstore(writer, text, json);
    case KIND_GEOMETRY:
        return append_geometry(writer, text, json);
    case KIND_UNKNOWN:
        append_binary(writer, text, json);
        return true;
    }
    assert(false);
    return false;
}

static bool append_piece(struct debezium_writer *writer, const struct debezium_type *type,
                         enum array_piece piece, struct slice element, struct buffer *json) {
    switch (piece) {
    case ARRAY_OPEN:
        buffer_append_u8(json, '[');
        return true;
    case ARRAY_CLOSE:
        buffer_append_u8(json, ']');
        return true;
    case ARRAY_NULL:
        buffer_append_text(json, "null");
        return true;
    case ARRAY_ELEMENT:
        return append_scalar(writer, type, element, json);
    case ARRAY_END:
        break;
    }
    return true;
}

static bool append_array(struct debezium_writer *writer, const struct debezium_type *type, struct slice text,
                         struct buffer *json) {
    struct array_text array AUTO(array_text_release);
    enum array_piece piece = ARRAY_END, before;
    struct slice element = {0};
    size_t depth = 0;
    if (!array_text_init(&array, text, ','))
        return false;
    do {
        before = piece;
        if (!array_text_next(&array, &piece, &element))
            return false;
        depth += piece == ARRAY_OPEN;
        writer->met_nested = depth > 1 && writer->options.schemas == SCHEMAS_INLINE;
        if (writer->met_nested)
            return false;
        if (before != ARRAY_END && before != ARRAY_OPEN && piece != ARRAY_CLOSE && piece != ARRAY_END)
            buffer_append_u8(json, ',');
        if (!append_piece(writer, type, piece, element, json))
            return false;
    } while (piece != ARRAY_END);
    return true;
}

/* ---- values that an UPDATE did not touch ---- */

/* One integer per byte, as Debezium writes a text into an array of integers. */
static void append_placeholder_integers(struct slice text, struct buffer *json) {
    for (size_t i = 0; i < text.size; i++) {
        buffer_append_u8(json, i == 0 ? '[' : ',');
        json_append_integer(json, (signed char) text.data[i]);
    }
    buffer_append_text(json, text.size == 0 ? "[]" : "]");
}

/* Written as text in the modes that encode bytes as text. */
static bool append_placeholder_bytes(const struct debezium_writer *writer, struct slice text,
                                     struct buffer *json) {
    if (writer->options.binary != BINARY_BYTES)
        return json_append_string(json, text);
    append_base64(json, BASE64_STANDARD, text);
    return true;
}

static bool append_placeholder_element(const struct debezium_writer *writer, const struct debezium_type *type,
                                       struct slice text, struct buffer *json) {
    buffer_append_u8(json, '[');
    if (type->kind == KIND_BYTES ? !append_placeholder_bytes(writer, text, json)
                                 : !json_append_string(json, text))
        return false;
    buffer_append_u8(json, ']');
    return true;
}

/* Null when the element type cannot hold a text. */
static bool append_placeholder_array(const struct debezium_writer *writer, const struct debezium_type *type,
                                     struct slice text, struct buffer *json) {
    bool is_number_of_days = writer->options.time != TIME_ISOSTRING && writer->options.time != TIME_CONNECT;
    bool is_integer = type->kind == KIND_INTEGER || (type->kind == KIND_DATE && is_number_of_days);
    if (type->kind == KIND_STRING || type->kind == KIND_BYTES)
        return append_placeholder_element(writer, type, text, json);
    if (is_integer)
        append_placeholder_integers(text, json);
    else
        buffer_append_text(json, "null");
    return true;
}

static bool append_placeholder_hstore(struct debezium_writer *writer, struct slice text,
                                      struct buffer *json) {
    buffer_reset(&writer->scratch);
    struct buffer *map = writer->options.hstore == HSTORE_MAP ? json : &writer->scratch;
    buffer_append_u8(map, '{');
    if (!append_member(map, true, text, &text))
        return false;
    buffer_append_u8(map, '}');
    return map == json || (buffer_ok(map) && json_append_string(json, buffer_slice(map)));
}

static bool append_placeholder(struct debezium_writer *writer, const struct debezium_type *type,
                               struct buffer *json) {
    struct slice text = slice_of(writer->options.placeholder);
    if (type->is_array)
        return append_placeholder_array(writer, type, text, json);
    switch (type->kind) {
    case KIND_STRING:
        return json_append_string(json, text);
    case KIND_HSTORE:
        return append_placeholder_hstore(writer, text, json);
    case KIND_BYTES:
    case KIND_UNKNOWN:
        return append_placeholder_bytes(writer, text, json);
    default:
        buffer_append_text(json, "null");
        return true;
    }
}

bool debezium_value_append(struct debezium_writer *writer, const struct column *column,
                           const struct value *value, struct buffer *json) {
    struct debezium_type type = debezium_type_of(column);
    switch (value->kind) {
    case VALUE_NULL:
        buffer_append_text(json, "null");
        return true;
    case VALUE_UNCHANGED:
        return append_placeholder(writer, &type, json);
    case VALUE_TEXT:
        return type.is_array && type.kind != KIND_UNKNOWN
                   ? append_array(writer, &type, value_slice(value), json)
                   : append_scalar(writer, &type, value_slice(value), json);
    case VALUE_BINARY:
        break;
    }
    return false;
}
