/* SPDX-License-Identifier: Apache-2.0 */
/*
 * change_json.c - writes a change as one line of JSON.
 *
 * Columns are written in the relation's order. An unknown value is left out, never written as null.
 */
#include "sinks/change_json.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "cdc/base/epoch.h"
#include "cdc/base/lsn.h"
#include "cdc/base/utf8.h"

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

#define EXACT_INTEGER_MAX (INT64_C(1) << 53) /* the largest integer range that a double holds exactly */
#define MICROSECONDS INT64_C(1000000)

/* ---- values ---- */

static bool is_exact_integer(struct slice text) {
    char digits[24];
    if (!json_is_number(text) || text.size >= sizeof digits)
        return false;
    memcpy(digits, text.data, text.size);
    digits[text.size] = '\0';
    errno = 0;
    long long number = strtoll(digits, NULL, 10);
    return errno == 0 && number >= -EXACT_INTEGER_MAX && number <= EXACT_INTEGER_MAX;
}

static void put_text_value(struct json_writer *json, oid_t type_oid, struct slice text) {
    bool is_raw = false;
    switch ((enum type_oid) type_oid) {
    case TYPE_BOOL:
        yajl_gen_bool(json->generator, text.size == 1 && text.data[0] == 't');
        return;
    case TYPE_JSON:
    case TYPE_JSONB:
        json_put_embedded(json, text);
        return;
    case TYPE_INT2:
    case TYPE_INT4:
    case TYPE_INT8:
    case TYPE_OID:
        is_raw = is_exact_integer(text);
        break;
    case TYPE_FLOAT4:
    case TYPE_FLOAT8:
        is_raw = json_is_number(text);
        break;
    }
    if (is_raw)
        json_put_raw(json, text);
    else
        json_put_text(json, text);
}

static void put_value(struct json_writer *json, const struct column *column, const struct value *value) {
    json_put_text(json, column->name);
    if (value->kind == VALUE_NULL)
        yajl_gen_null(json->generator);
    else if (value->kind != VALUE_TEXT)
        json->problem = "a value is binary, although text was asked for";
    else
        put_text_value(json, column->type_oid, value_slice(value));
}

/* ---- rows ---- */

/* The known columns; only those of the key if the server sent no others. */
static void put_row(struct json_writer *json, const char *name, const struct relation *relation,
                    const struct value *values, bool key_only) {
    json_put_key(json, name);
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

/* The server does not resend a large key column that did not change; its value is in the old key. */
static const struct value *key_value(const struct change *change, uint32_t column) {
    if (change->new_values == NULL)
        return &change->old_values[column];
    if (change->new_values[column].kind == VALUE_UNCHANGED && change->old_values != NULL)
        return &change->old_values[column];
    return &change->new_values[column];
}

static void put_change_key(struct json_writer *json, const struct change *change) {
    const struct relation *relation = change->relation;
    json_put_key(json, "key");
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

static void put_unchanged(struct json_writer *json, const struct change *change) {
    bool any = false;
    for (uint32_t i = 0; change->new_values != NULL && i < change->relation->column_count; i++) {
        if (change->new_values[i].kind != VALUE_UNCHANGED)
            continue;
        if (!any) {
            json_put_key(json, "unchanged");
            yajl_gen_array_open(json->generator);
        }
        any = true;
        json_put_text(json, change->relation->columns[i].name);
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

static void put_name(struct json_writer *json, const struct relation *relation) {
    json_put_key(json, "schema");
    json_put_text(json, relation->schema);
    json_put_key(json, "table");
    json_put_text(json, relation->name);
}

static void put_commit_time(struct json_writer *json, int64_t postgres_us) {
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
    json_put_field(json, "commit_time", text);
}

/* A message outside a transaction is identified by its own LSN. */
static void put_identity(struct json_writer *json, const struct change *change) {
    const struct transaction *transaction = change->transaction;
    if (transaction == NULL) {
        json_put_field(json, "lsn", lsn_format(change->lsn).text);
        return;
    }
    json_put_field(json, "commit_lsn", lsn_format(transaction->commit_lsn).text);
    json_put_key(json, "index");
    json_put_integer(json, (int64_t) change->index);
    json_put_key(json, "xid");
    json_put_integer(json, transaction->xid);
    put_commit_time(json, transaction->commit_time_us);
}

static void put_row_change(struct json_writer *json, const struct change *change) {
    put_name(json, change->relation);
    put_identity(json, change);
    put_change_key(json, change);
    put_row(json, "before", change->relation, change->old_values, change->old_kind == OLD_KEY);
    put_row(json, "after", change->relation, change->new_values, false);
    put_unchanged(json, change);
}

static void put_truncate(struct json_writer *json, const struct change *change) {
    put_identity(json, change);
    json_put_key(json, "tables");
    yajl_gen_array_open(json->generator);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        yajl_gen_map_open(json->generator);
        put_name(json, change->relations[i]);
        yajl_gen_map_close(json->generator);
    }
    yajl_gen_array_close(json->generator);
    json_put_key(json, "cascade");
    yajl_gen_bool(json->generator, (change->truncate_flags & TRUNCATE_CASCADE) != 0);
    json_put_key(json, "restart_identity");
    yajl_gen_bool(json->generator, (change->truncate_flags & TRUNCATE_RESTART_IDENTITY) != 0);
}

static void put_message(struct json_writer *json, const struct change *change) {
    put_identity(json, change);
    json_put_key(json, "transactional");
    yajl_gen_bool(json->generator, change->transactional);
    json_put_key(json, "prefix");
    json_put_text(json, change->prefix);
    if (utf8_is_valid(change->content)) {
        json_put_key(json, "content");
        json_put_text(json, change->content);
    } else {
        json_put_key(json, "content_hex");
        json_put_hex(json, change->content);
    }
}

/* ---- the line ---- */

static void put_change(struct json_writer *json, const struct change *change) {
    yajl_gen_map_open(json->generator);
    json_put_field(json, "op", op_name(change->kind));
    if (change_is_row(change))
        put_row_change(json, change);
    else if (change->kind == CHANGE_TRUNCATE)
        put_truncate(json, change);
    else
        put_message(json, change);
    yajl_gen_map_close(json->generator);
}

bool change_json_write(struct json_writer *json, const struct change *change, struct slice *ret_line,
                       struct error *err) {
    json_writer_begin(json);
    put_change(json, change);
    return json_writer_finish(json, ret_line, err) ||
           error_wrap(err, "the change at %s", lsn_format(change->lsn).text);
}
