/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_json.c - a change as one line of JSON.
 *
 * yajl's generator keeps the grammar and the escapes; it writes into a buffer that fails for good when it is full, so
 * that one question at the end decides.
 */
#include "cdc/change_json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cdc/base/lsn.h"

enum type_oid {
    TYPE_BOOL = 16,
    TYPE_INT8 = 20,
    TYPE_INT2 = 21,
    TYPE_INT4 = 23,
    TYPE_OID = 26,
    TYPE_JSON = 114,
    TYPE_FLOAT4 = 700,
    TYPE_FLOAT8 = 701,
    TYPE_JSONB = 3802,
};

#define LINE_BYTES_MAX ((size_t) 4 << 30)    /* a value has up to 1 GB, and escapes lengthen it */
#define EXACT_INTEGER_MAX (INT64_C(1) << 53) /* what a double holds without rounding */
#define POSTGRES_EPOCH_S INT64_C(946684800)  /* 2000-01-01 in seconds since 1970-01-01 */
#define MICROSECONDS INT64_C(1000000)

/* ---- JSON's own pieces ---- */

/* How many bytes the character at the start takes, 0 when it is none: overlong, a surrogate, cut off. */
static size_t utf8_size(const unsigned char *bytes, size_t left) {
    static const uint32_t LEAST[] = {0, 0, 0x80, 0x800, 0x10000};
    size_t size = bytes[0] < 0x80       ? 1
                  : bytes[0] >> 5 == 6  ? 2
                  : bytes[0] >> 4 == 14 ? 3
                  : bytes[0] >> 3 == 30 ? 4
                                        : 0;
    if (size <= 1 || size > left)
        return size > left ? 0 : size;
    uint32_t code = bytes[0] & (0xffU >> (size + 1));
    for (size_t i = 1; i < size; i++) {
        if (bytes[i] >> 6 != 2)
            return 0;
        code = code << 6 | (bytes[i] & 0x3f);
    }
    return code < LEAST[size] || code > 0x10ffff || code >> 11 == 0xd800 >> 11 ? 0 : size;
}

static bool is_utf8(struct slice text) {
    for (size_t at = 0; at < text.size;) {
        size_t size = utf8_size((const unsigned char *) text.data + at, text.size - at);
        if (size == 0)
            return false;
        at += size;
    }
    return true;
}

/* The session asked for UTF-8, so anything else is the server's fault. */
static void put_text(struct change_json *json, struct slice text) {
    if (!is_utf8(text))
        json->refused = "is not UTF-8";
    else
        yajl_gen_string(json->generator, (const unsigned char *) text.data, text.size);
}

static void put_key(struct change_json *json, const char *key) {
    put_text(json, slice_of(key));
}

static void put_field(struct change_json *json, const char *key, const char *text) {
    put_key(json, key);
    put_text(json, slice_of(text));
}

/* Bytes that are JSON already. */
static void put_raw(struct change_json *json, struct slice text) {
    yajl_gen_number(json->generator, text.data, text.size);
}

/* ---- values ---- */

static const char *skip_digits(const char *next, const char *end) {
    while (next < end && *next >= '0' && *next <= '9')
        next++;
    return next;
}

/* number = [-] digits [. digits] [e [+-] digits], no leading zeroes. */
static bool is_number(struct slice text) {
    const char *next = text.data, *end = text.data + text.size;
    if (next < end && *next == '-')
        next++;
    const char *digits = next;
    next = skip_digits(next, end);
    if (next == digits || (*digits == '0' && next - digits > 1))
        return false;
    if (next < end && *next == '.') {
        digits = ++next;
        next = skip_digits(next, end);
        if (next == digits)
            return false;
    }
    if (next < end && (*next == 'e' || *next == 'E')) {
        next++;
        if (next < end && (*next == '+' || *next == '-'))
            next++;
        digits = next;
        next = skip_digits(next, end);
        if (next == digits)
            return false;
    }
    return next == end;
}

static bool is_exact_integer(struct slice text) {
    char digits[24];
    if (!is_number(text) || text.size >= sizeof digits)
        return false;
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    errno = 0;
    long long number = strtoll(digits, NULL, 10);
    return errno == 0 && number >= -EXACT_INTEGER_MAX && number <= EXACT_INTEGER_MAX;
}

/* A json value keeps the spaces it was written with; a line break among them would end our line. */
static void put_json(struct change_json *json, struct slice text) {
    if (memchr(text.data, '\n', text.size) == NULL && memchr(text.data, '\r', text.size) == NULL) {
        put_raw(json, text);
        return;
    }
    buffer_reset(&json->scratch);
    buffer_append_slice(&json->scratch, text);
    for (size_t i = 0; i < json->scratch.size; i++)
        if (json->scratch.data[i] == '\n' || json->scratch.data[i] == '\r')
            json->scratch.data[i] = ' ';
    put_raw(json, buffer_slice(&json->scratch));
}

static void put_text_value(struct change_json *json, oid_t type_oid, struct slice text) {
    bool is_raw = false;
    switch ((enum type_oid) type_oid) {
    case TYPE_BOOL:
        yajl_gen_bool(json->generator, text.size == 1 && text.data[0] == 't');
        return;
    case TYPE_JSON:
    case TYPE_JSONB:
        put_json(json, text);
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
        is_raw = is_exact_integer(text);
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        is_raw = is_number(text);
        break;
    }
    if (is_raw)
        put_raw(json, text);
    else
        put_text(json, text);
}

static void put_value(struct change_json *json, const struct column *column, const struct value *value) {
    put_text(json, column->name);
    if (value->kind == VALUE_NULL)
        yajl_gen_null(json->generator);
    else if (value->kind != VALUE_TEXT)
        json->refused = "is binary";
    else
        put_text_value(json, column->type_oid, value_slice(value));
}

/* ---- rows ---- */

/* The columns that are known; only the key's when the server sent no others. */
static void put_row(struct change_json *json, const char *name, const struct relation *relation,
                    const struct value *values, bool key_only) {
    put_key(json, name);
    if (values == NULL) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (values[i].kind != VALUE_UNCHANGED && (!key_only || relation->columns[i].is_key))
            put_value(json, &relation->columns[i], &values[i]);
    yajl_gen_map_close(json->generator);
}

/* A key column too large to be sent again has its value in the old key. */
static const struct value *key_value(const struct change *change, uint32_t column) {
    if (change->new_values == NULL)
        return &change->old_values[column];
    if (change->new_values[column].kind == VALUE_UNCHANGED && change->old_values != NULL)
        return &change->old_values[column];
    return &change->new_values[column];
}

static void put_change_key(struct change_json *json, const struct change *change) {
    const struct relation *relation = change->relation;
    put_key(json, "key");
    if (relation->key_count == 0 || relation->identity == REPLICA_IDENTITY_FULL ||
        (change->new_values == NULL && change->old_values == NULL)) {
        yajl_gen_null(json->generator);
        return;
    }
    yajl_gen_map_open(json->generator);
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (relation->columns[i].is_key && key_value(change, i)->kind != VALUE_UNCHANGED)
            put_value(json, &relation->columns[i], key_value(change, i));
    yajl_gen_map_close(json->generator);
}

static void put_unchanged(struct change_json *json, const struct change *change) {
    bool any = false;
    for (uint32_t i = 0; change->new_values != NULL && i < change->relation->column_count; i++) {
        if (change->new_values[i].kind != VALUE_UNCHANGED)
            continue;
        if (!any) {
            put_key(json, "unchanged");
            yajl_gen_array_open(json->generator);
        }
        any = true;
        put_text(json, change->relation->columns[i].name);
    }
    if (any)
        yajl_gen_array_close(json->generator);
}

/* ---- changes ---- */

static const char *op_name(enum change_kind kind) {
    switch (kind) {
    case CHANGE_INSERT:
        return "insert";
    case CHANGE_UPDATE:
        return "update";
    case CHANGE_DELETE:
        return "delete";
    case CHANGE_TRUNCATE:
        return "truncate";
    case CHANGE_MESSAGE:
        return "message";
    case CHANGE_READ:
        return "read";
    case CHANGE_BEGIN:
    case CHANGE_COMMIT:
        break;
    }
    assert(false);
    return NULL;
}

static void put_name(struct change_json *json, const struct relation *relation) {
    put_key(json, "schema");
    put_text(json, relation->schema);
    put_key(json, "table");
    put_text(json, relation->name);
}

static void put_commit_time(struct change_json *json, int64_t postgres_us) {
    int64_t micros = postgres_us % MICROSECONDS;
    time_t seconds = (time_t) (postgres_us / MICROSECONDS + POSTGRES_EPOCH_S);
    if (micros < 0) {
        micros += MICROSECONDS;
        seconds--;
    }
    struct tm utc = {0};
    char date[40] = "", text[64];
    if (gmtime_r(&seconds, &utc) != NULL)
        strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%S", &utc);
    snprintf(text, sizeof text, "%s.%06dZ", date, (int) micros);
    put_field(json, "commit_time", text);
}

/* A message outside any transaction is known by its own LSN. */
static void put_identity(struct change_json *json, const struct change *change) {
    const struct transaction *transaction = change->transaction;
    if (transaction == NULL) {
        put_field(json, "lsn", lsn_format(change->lsn).text);
        return;
    }
    put_field(json, "commit_lsn", lsn_format(transaction->commit_lsn).text);
    put_key(json, "index");
    yajl_gen_integer(json->generator, (long long) change->index);
    put_key(json, "xid");
    yajl_gen_integer(json->generator, transaction->xid);
    put_commit_time(json, transaction->commit_time_us);
}

static void put_row_change(struct change_json *json, const struct change *change) {
    put_name(json, change->relation);
    put_identity(json, change);
    put_change_key(json, change);
    put_row(json, "before", change->relation, change->old_values, change->old_kind == OLD_KEY);
    put_row(json, "after", change->relation, change->new_values, false);
    put_unchanged(json, change);
}

static void put_truncate(struct change_json *json, const struct change *change) {
    put_identity(json, change);
    put_key(json, "tables");
    yajl_gen_array_open(json->generator);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        yajl_gen_map_open(json->generator);
        put_name(json, change->relations[i]);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
    put_key(json, "cascade");
    yajl_gen_bool(json->generator, (change->truncate_flags & TRUNCATE_CASCADE) != 0);
    put_key(json, "restart_identity");
    yajl_gen_bool(json->generator, (change->truncate_flags & TRUNCATE_RESTART_IDENTITY) != 0);
}

static void put_hex(struct change_json *json, struct slice bytes) {
    buffer_reset(&json->scratch);
    for (size_t i = 0; i < bytes.size; i++)
        buffer_printf(&json->scratch, "%02x", (unsigned) (unsigned char) bytes.data[i]);
    put_text(json, buffer_slice(&json->scratch));
}

static void put_message(struct change_json *json, const struct change *change) {
    put_identity(json, change);
    put_key(json, "transactional");
    yajl_gen_bool(json->generator, change->transactional);
    put_key(json, "prefix");
    put_text(json, change->prefix);
    if (is_utf8(change->content)) {
        put_key(json, "content");
        put_text(json, change->content);
    } else {
        put_key(json, "content_hex");
        put_hex(json, change->content);
    }
}

/* ---- the line ---- */

static void put_change(struct change_json *json, const struct change *change) {
    yajl_gen_map_open(json->generator);
    put_field(json, "op", op_name(change->kind));
    if (change_is_row(change))
        put_row_change(json, change);
    else if (change->kind == CHANGE_TRUNCATE)
        put_truncate(json, change);
    else
        put_message(json, change);
    yajl_gen_map_close(json->generator);
}

static void append(void *context, const char *bytes, size_t size) {
    buffer_append(context, bytes, size);
}

bool change_json_init(struct change_json *json, struct error *err) {
    *json = (struct change_json){.generator = yajl_gen_alloc(NULL)};
    buffer_init(&json->line, LINE_BYTES_MAX);
    buffer_init(&json->scratch, LINE_BYTES_MAX);
    if (json->generator == NULL)
        return error_no_memory(err);
    yajl_gen_config(json->generator, yajl_gen_print_callback, append, &json->line);
    return true;
}

void change_json_release(struct change_json *json) {
    if (json->generator != NULL)
        yajl_gen_free(json->generator);
    json->generator = NULL;
    buffer_release(&json->line);
    buffer_release(&json->scratch);
}

bool change_json_write(struct change_json *json, const struct change *change, struct slice *ret_line,
                       struct error *err) {
    yajl_gen_reset(json->generator, "");
    buffer_reset(&json->line);
    json->refused = NULL;
    put_change(json, change);
    buffer_append_text(&json->line, "\n");
    if (json->refused != NULL)
        return error_set(err, ERROR_PROTOCOL, "a value of the change at %s %s, although text was asked for",
                         lsn_format(change->lsn).text, json->refused);
    if (!buffer_ok(&json->line) || !buffer_ok(&json->scratch))
        return error_no_memory(err);
    *ret_line = buffer_slice(&json->line);
    return true;
}
