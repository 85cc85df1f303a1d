/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_key.c - integers with the sign bit inverted, so that they compare as unsigned; uuids as their bytes.
 */
#include "cdc/copy/chunk_key.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { INT8_OID = 20, INT2_OID = 21, INT4_OID = 23, OID_OID = 26, UUID_OID = 2950 };

enum { NUMBER_TEXT_MAX = 24, UUID_BYTES = 16, UUID_TEXT = 36 };

bool chunk_key_has_type(oid_t type_oid) {
    return type_oid == INT2_OID || type_oid == INT4_OID || type_oid == INT8_OID || type_oid == OID_OID ||
           type_oid == UUID_OID;
}

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

bool chunk_key_read(oid_t type_oid, const struct value *value, struct chunk_key *ret_key) {
    if (value->kind != VALUE_TEXT && value->kind != VALUE_BINARY)
        return false;
    return type_oid == UUID_OID ? read_uuid(value, ret_key) : read_integer(type_oid, value, ret_key);
}
