/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_key.c - integers with the sign bit inverted, so that they compare as unsigned; uuids, bytea and text
 * as their bytes; dates and timestamps as days, and microseconds of the day.
 */
#include "cdc/copy/chunk_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/base/pg_time_text.h"

enum {
    BYTEA_OID = 17,
    INT8_OID = 20,
    INT2_OID = 21,
    INT4_OID = 23,
    TEXT_OID = 25,
    OID_OID = 26,
    VARCHAR_OID = 1043,
    DATE_OID = 1082,
    TIMESTAMP_OID = 1114,
    TIMESTAMPTZ_OID = 1184,
    UUID_OID = 2950,
};

enum { NUMBER_TEXT_MAX = 24, UUID_BYTES = 16, UUID_TEXT = 36, DAYS_1970_TO_2000 = 10957 };

bool chunk_key_has_type(oid_t type_oid) {
    switch (type_oid) {
    case BYTEA_OID:
    case INT8_OID:
    case INT2_OID:
    case INT4_OID:
    case TEXT_OID:
    case OID_OID:
    case VARCHAR_OID:
    case DATE_OID:
    case TIMESTAMP_OID:
    case TIMESTAMPTZ_OID:
    case UUID_OID:
        return true;
    default:
        return false;
    }
}

/* ---- integers ---- */

static uint64_t read_bytes(const char *data, size_t size) {
    uint64_t number = 0;
    for (size_t i = 0; i < size; i++)
        number = number << 8 | (uint8_t) data[i];
    return number;
}

static struct chunk_key key_of_integer(int64_t number) {
    return (struct chunk_key){.high = (uint64_t) number ^ UINT64_C(1) << 63};
}

static bool read_integer_text(struct slice text, struct chunk_key *ret_key) {
    char digits[NUMBER_TEXT_MAX];
    char *end = NULL;
    if (text.size == 0 || text.size >= sizeof digits)
        return false;
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    errno = 0;
    *ret_key = key_of_integer(strtoll(digits, &end, 10));
    return errno == 0 && *end == '\0';
}

static bool read_integer(oid_t type_oid, const struct value *value, struct chunk_key *ret_key) {
    if (value->kind == VALUE_TEXT)
        return read_integer_text(value_slice(value), ret_key);
    if (value->size != (type_oid == INT2_OID ? 2 : type_oid == INT8_OID ? 8 : 4))
        return false;
    const uint64_t bytes = read_bytes(value->data, value->size);
    if (type_oid == INT2_OID)
        *ret_key = key_of_integer((int16_t) bytes);
    else if (type_oid == INT4_OID)
        *ret_key = key_of_integer((int32_t) bytes);
    else
        *ret_key = key_of_integer((int64_t) bytes);
    return true;
}

/* ---- bytes ---- */

static int hex_of(char letter) {
    if (letter >= '0' && letter <= '9')
        return letter - '0';
    return letter >= 'a' && letter <= 'f' ? letter - 'a' + 10 : -1;
}

static bool read_uuid_text(struct slice text, char bytes[UUID_BYTES]) {
    size_t count = 0;
    if (text.size != UUID_TEXT)
        return false;
    for (size_t i = 0; i + 1 < text.size && count < UUID_BYTES; i++) {
        if (text.data[i] == '-')
            continue;
        const int high = hex_of(text.data[i]);
        const int low = hex_of(text.data[++i]);
        if (high < 0 || low < 0)
            return false;
        bytes[count++] = (char) (high << 4 | low);
    }
    return count == UUID_BYTES;
}

static bool read_uuid(const struct value *value, struct chunk_key *ret_key) {
    char bytes[UUID_BYTES];
    if (value->kind == VALUE_TEXT && !read_uuid_text(value_slice(value), bytes))
        return false;
    if (value->kind == VALUE_BINARY) {
        if (value->size != UUID_BYTES)
            return false;
        memcpy(bytes, value->data, UUID_BYTES);
    }
    *ret_key = (struct chunk_key){.high = read_bytes(bytes, 8), .low = read_bytes(bytes + 8, 8)};
    return true;
}

/* The text is \x and two digits a byte: every session has bytea_output hex. */
static bool read_bytea_text(struct slice text, struct chunk_key *ret_key) {
    if (text.size < 2 || text.size % 2 != 0 || text.data[0] != '\\' || text.data[1] != 'x')
        return false;
    for (size_t i = 2; i < text.size; i++)
        if (hex_of(text.data[i]) < 0)
            return false;
    *ret_key = (struct chunk_key){.bytes = {.data = text.data + 2, .size = text.size - 2}, .is_hex = true};
    return true;
}

static size_t byte_count(const struct chunk_key *key) {
    return key->is_hex ? key->bytes.size / 2 : key->bytes.size;
}

static int byte_at(const struct chunk_key *key, size_t place) {
    const char *data = key->bytes.data;
    return key->is_hex ? hex_of(data[2 * place]) << 4 | hex_of(data[2 * place + 1]) : (uint8_t) data[place];
}

bool chunk_key_bytes_are_less(const struct chunk_key *a, const struct chunk_key *b) {
    const size_t a_count = byte_count(a), b_count = byte_count(b);
    for (size_t i = 0; i < a_count && i < b_count; i++)
        if (byte_at(a, i) != byte_at(b, i))
            return byte_at(a, i) < byte_at(b, i);
    return a_count < b_count;
}

/* ---- dates and timestamps ---- */

static struct chunk_key key_of_time(enum pg_infinity infinity, int64_t days, int64_t microseconds) {
    struct chunk_key key = key_of_integer(days);
    key.low = (uint64_t) microseconds;
    if (infinity == PG_INFINITY)
        key = (struct chunk_key){.high = UINT64_MAX};
    else if (infinity == PG_MINUS_INFINITY)
        key = (struct chunk_key){0};
    return key;
}

static bool read_date(const struct value *value, struct chunk_key *ret_key) {
    struct pg_date date = {0};
    if (value->kind == VALUE_TEXT) {
        if (!pg_date_parse(value_slice(value), &date))
            return false;
    } else {
        if (value->size != sizeof(int32_t))
            return false;
        const int32_t days = (int32_t) read_bytes(value->data, value->size);
        date.infinity = days == INT32_MAX ? PG_INFINITY : days == INT32_MIN ? PG_MINUS_INFINITY : PG_FINITE;
        date.days = (int64_t) days + DAYS_1970_TO_2000;
    }
    *ret_key = key_of_time(date.infinity, date.days, 0);
    return true;
}

static bool read_timestamp(oid_t type_oid, const struct value *value, struct chunk_key *ret_key) {
    struct pg_timestamp timestamp = {0};
    if (value->kind == VALUE_TEXT) {
        if (!(type_oid == TIMESTAMP_OID ? pg_timestamp_parse(value_slice(value), &timestamp)
                                        : pg_timestamptz_parse(value_slice(value), &timestamp)))
            return false;
    } else {
        if (value->size != sizeof(int64_t))
            return false;
        const int64_t time = (int64_t) read_bytes(value->data, value->size);
        timestamp.infinity = time == INT64_MAX   ? PG_INFINITY
                             : time == INT64_MIN ? PG_MINUS_INFINITY
                                                 : PG_FINITE;
        const int64_t day = time / MICROSECONDS_PER_DAY - (time % MICROSECONDS_PER_DAY < 0);
        timestamp.days = day + DAYS_1970_TO_2000;
        timestamp.microseconds = time - day * MICROSECONDS_PER_DAY;
    }
    *ret_key = key_of_time(timestamp.infinity, timestamp.days, timestamp.microseconds);
    return true;
}

/* ---- all types ---- */

bool chunk_key_read(oid_t type_oid, const struct value *value, struct chunk_key *ret_key) {
    if (value->kind != VALUE_TEXT && value->kind != VALUE_BINARY)
        return false;
    switch (type_oid) {
    case UUID_OID:
        return read_uuid(value, ret_key);
    case DATE_OID:
        return read_date(value, ret_key);
    case TIMESTAMP_OID:
    case TIMESTAMPTZ_OID:
        return read_timestamp(type_oid, value, ret_key);
    case BYTEA_OID:
    case TEXT_OID:
    case VARCHAR_OID:
        if (type_oid == BYTEA_OID && value->kind == VALUE_TEXT)
            return read_bytea_text(value_slice(value), ret_key);
        *ret_key = (struct chunk_key){.bytes = value_slice(value)};
        return true;
    default:
        return read_integer(type_oid, value, ret_key);
    }
}
