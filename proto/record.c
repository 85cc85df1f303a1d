/* SPDX-License-Identifier: Apache-2.0 */
/*
 * record.c - writes a record in one pass.
 *
 * A column's size precedes its bytes. So its value is first examined (examine), which gives its form and its
 * size; then everything is written in order.
 */
#include "proto/record.h"

#include <assert.h>

#include "cdc/base/utf8.h"
#include "proto/record_type.h"
#include "proto/value_text.h"
#include "proto/wire.h"

#define RECORD_BYTES_MAX ((size_t) INT32_MAX) /* protobuf's */

/* Upper bounds for a record and a column without names and values: tags, sizes and numbers. */
enum { RECORD_HEAD_MAX = 128, COLUMN_HEAD_MAX = 96 };

struct writing {
    const struct change *change;
    const struct relation *relation;
    struct buffer *buffer;
    char *at; /* in the buffer, which has room for everything */
    struct error *err;
};

/* An examined value. size: of its field, including the tag. */
struct examined {
    enum record_value kind;
    size_t size;
    union {
        uint64_t number;
        float float4;
        double float8;
        struct slice bytes;
        size_t bytea_size;
    };
    struct slice hex; /* of a bytea */
};

/* ---- what is refused ---- */

static bool record_refuse(const struct writing *w, enum error_kind kind, const struct column *column,
                          const char *problem) {
    return error_set(w->err, kind, "column %s of %s.%s, changed at %s: %s", column->name.data,
                     w->relation->schema.data, w->relation->name.data, lsn_format(w->change->lsn).text,
                     problem);
}

static bool refuse_value(const struct writing *w, const struct column *column) {
    return record_refuse(w, ERROR_PROTOCOL, column, "its text is not one that its type has");
}

static bool refuse_record(const struct writing *w, const char *problem) {
    return error_set(w->err, ERROR_DATA, "table %s.%s, changed at %s: %s", w->relation->schema.data,
                     w->relation->name.data, lsn_format(w->change->lsn).text, problem);
}

/* ---- values ---- */

static void set_number(struct examined *value, enum record_value kind, uint64_t number) {
    value->kind = kind;
    value->number = number;
    value->size = 1 + wire_varint_size(number);
}

static void set_bytes(struct examined *value, enum record_value kind, struct slice bytes) {
    value->kind = kind;
    value->bytes = bytes;
    value->size = 1 + wire_varint_size(bytes.size) + bytes.size;
}

static bool examine_bytea(struct slice text, struct examined *value) {
    size_t size;
    if (!value_text_bytea_size(text, &size))
        return false;
    value->kind = RECORD_BYTES;
    value->hex = text;
    value->bytea_size = size;
    value->size = 1 + wire_varint_size(size) + size;
    return true;
}

static bool examine_text(const struct record_type *type, struct slice text, struct examined *value) {
    bool is_true;
    int64_t integer;
    switch (type->value) {
    case RECORD_BOOLEAN:
        if (!value_text_to_bool(text, &is_true))
            return false;
        set_number(value, RECORD_BOOLEAN, is_true);
        return true;
    case RECORD_INTEGER:
        if (!value_text_to_integer(text, type->min, type->max, &integer))
            return false;
        set_number(value, RECORD_INTEGER, wire_zigzag(integer));
        return true;
    case RECORD_FLOAT4:
        value->kind = RECORD_FLOAT4;
        value->size = 1 + sizeof value->float4;
        return value_text_to_float4(text, &value->float4);
    case RECORD_FLOAT8:
        value->kind = RECORD_FLOAT8;
        value->size = 1 + sizeof value->float8;
        return value_text_to_float8(text, &value->float8);
    case RECORD_BYTES:
        return examine_bytea(text, value);
    case RECORD_TEXT:
    case RECORD_LITERAL:
    case RECORD_NULL:
    case RECORD_UNCHANGED:
        break;
    }
    set_bytes(value, utf8_is_valid(text) ? type->value : RECORD_BYTES, text);
    return true;
}

static bool examine(const struct writing *w, const struct column *column, const struct value *value,
                    struct examined *ret_value) {
    *ret_value = (struct examined){0};
    switch (value->kind) {
    case VALUE_NULL:
        set_number(ret_value, RECORD_NULL, true);
        return true;
    case VALUE_UNCHANGED:
        set_number(ret_value, RECORD_UNCHANGED, true);
        return true;
    case VALUE_TEXT:
        return examine_text(record_type_of(column), value_slice(value), ret_value) || refuse_value(w, column);
    case VALUE_BINARY:
        break;
    }
    return record_refuse(w, ERROR_PROTOCOL, column, "its value is binary although text was asked for");
}

/* False: a bytea with other characters than digits. */
static bool put_value(struct writing *w, const struct examined *value) {
    uint64_t bits64;
    uint32_t bits32;
    switch (value->kind) {
    case RECORD_NULL:
    case RECORD_UNCHANGED:
    case RECORD_BOOLEAN:
    case RECORD_INTEGER:
        w->at = wire_put_number(w->at, value->kind, value->number);
        return true;
    case RECORD_FLOAT4:
        memcpy(&bits32, &value->float4, sizeof bits32);
        w->at = wire_put_fixed32(w->at, value->kind, bits32);
        return true;
    case RECORD_FLOAT8:
        memcpy(&bits64, &value->float8, sizeof bits64);
        w->at = wire_put_fixed64(w->at, value->kind, bits64);
        return true;
    case RECORD_TEXT:
    case RECORD_BYTES:
    case RECORD_LITERAL:
        break;
    }
    if (value->hex.data == NULL) {
        w->at = wire_put_bytes(w->at, value->kind, value->bytes);
        return true;
    }
    w->at = wire_put_head(w->at, value->kind, value->bytea_size);
    bool is_hex = value_text_put_bytea(value->hex, w->at);
    w->at += value->bytea_size;
    return is_hex;
}

/* The modifier is in a oneof: present whenever there is one, zero or not. */

static struct slice other_schema(const struct column *column) {
    static const struct slice NONE = {.data = "", .size = 0};
    if (record_type_is_builtin(column) || slice_equal(column->type_schema, slice_of("pg_catalog")))
        return NONE;
    return column->type_schema;
}

static bool names_are_valid(const struct column *column) {
    return utf8_is_valid(column->name) &&
           (record_type_is_builtin(column) ||
            (utf8_is_valid(column->type_name) && utf8_is_valid(column->type_schema)));
}

/* The modifier is in a oneof: there when there is one, zero or not. */
static bool has_modifier(const struct column *column) {
    return column->type_modifier != -1;
}

static uint64_t modifier_of(const struct column *column) {
    return (uint64_t) (int64_t) column->type_modifier;
}

static bool put_column(struct writing *w, unsigned field, const struct column *column,
                       const struct value *value) {
    const struct slice schema = other_schema(column);
    const bool is_key = column->is_key && w->relation->identity != REPLICA_IDENTITY_FULL;
    struct examined examined;
    if (!examine(w, column, value, &examined))
        return false;
    if (!names_are_valid(column))
        return record_refuse(w, ERROR_DATA, column, "its name or its type's is not UTF-8");
    size_t size = wire_bytes_size(column->name.size) + wire_bytes_size(column->type_name.size) +
                  wire_bytes_size(schema.size) + wire_number_size(is_key) + examined.size;
    if (has_modifier(column))
        size += 1 + wire_varint_size(modifier_of(column));
    w->at = wire_put_head(w->at, field, size);
    w->at = wire_put_bytes_if(w->at, COLUMN_NAME, column->name);
    w->at = wire_put_bytes_if(w->at, COLUMN_TYPE, column->type_name);
    w->at = wire_put_bytes_if(w->at, COLUMN_TYPE_SCHEMA, schema);
    if (has_modifier(column))
        w->at = wire_put_number(w->at, COLUMN_TYPE_MODIFIER, modifier_of(column));
    w->at = wire_put_number_if(w->at, COLUMN_KEY, is_key);
    return put_value(w, &examined) || refuse_value(w, column);
}

/* A row, or the columns of the replica identity alone. */
static bool put_columns(struct writing *w, unsigned field, const struct value *values, bool key_only) {
    for (uint32_t i = 0; i < w->relation->column_count; i++)
        if ((!key_only || w->relation->columns[i].is_key) &&
            !put_column(w, field, &w->relation->columns[i], &values[i]))
            return false;
    return true;
}

/* ---- keys ---- */

/* A key column that was too large to be sent again has its value in the old row. */
static const struct value *new_key_value(const struct change *change, uint32_t i) {
    if (change->new_values == NULL)
        return &change->old_values[i];
    if (change->new_values[i].kind == VALUE_UNCHANGED && change->old_values != NULL)
        return &change->old_values[i];
    return &change->new_values[i];
}

static bool put_key_column(struct writing *w, const struct column *column, const struct value *value) {
    struct examined examined;
    if (value->kind == VALUE_UNCHANGED)
        return record_refuse(w, ERROR_PROTOCOL, column, "a value of the key was not sent");
    if (!examine(w, column, value, &examined))
        return false;
    if (!utf8_is_valid(column->name))
        return record_refuse(w, ERROR_DATA, column, "its name is not UTF-8");
    w->at = wire_put_head(w->at, KEY_COLUMNS, wire_bytes_size(column->name.size) + examined.size);
    w->at = wire_put_bytes_if(w->at, COLUMN_NAME, column->name);
    return put_value(w, &examined) || refuse_value(w, column);
}

static bool put_key(struct writing *w, bool old) {
    const struct change *change = w->change;
    w->at = wire_put_bytes_if(w->at, KEY_SCHEMA, w->relation->schema);
    w->at = wire_put_bytes_if(w->at, KEY_TABLE, w->relation->name);
    if (!change_is_row(change))
        return true;
    for (uint32_t i = 0; i < w->relation->column_count; i++) {
        const struct value *value = old ? &change->old_values[i] : new_key_value(change, i);
        if (w->relation->columns[i].is_key && !put_key_column(w, &w->relation->columns[i], value))
            return false;
    }
    return true;
}

/* Rare, so its size is determined by writing it a little further on. */
static bool put_moved_to(struct writing *w) {
    char *head = w->at;
    char *body = w->at += 1 + WIRE_VARINT_MAX;
    if (!put_key(w, false))
        return false;
    size_t size = (size_t) (w->at - body);
    w->at = wire_put_head(head, CHANGE_MOVED_TO, size);
    memmove(w->at, body, size);
    w->at += size;
    return true;
}

bool record_has_key(const struct relation *relation) {
    return relation->key_count > 0 && relation->identity != REPLICA_IDENTITY_FULL;
}

static bool value_equal(const struct value *a, const struct value *b) {
    return a->kind == b->kind && slice_equal(value_slice(a), value_slice(b));
}

bool record_is_move(const struct change *change) {
    if (change->kind != CHANGE_UPDATE || change->old_kind == OLD_NONE || !record_has_key(change->relation))
        return false;
    for (uint32_t i = 0; i < change->relation->column_count; i++)
        if (change->relation->columns[i].is_key &&
            !value_equal(new_key_value(change, i), &change->old_values[i]))
            return true;
    return false;
}

/* ---- records ---- */

static enum operation operation_of(const struct change *change) {
    switch (change->kind) {
    case CHANGE_INSERT:
        return INSERT;
    case CHANGE_UPDATE:
        return UPDATE;
    case CHANGE_DELETE:
        return DELETE;
    case CHANGE_TRUNCATE:
        return TRUNCATE;
    case CHANGE_READ:
        return READ;
    case CHANGE_BEGIN:
    case CHANGE_COMMIT:
    case CHANGE_MESSAGE:
        break;
    }
    assert(false && "no change of a table");
    return 0;
}

static uint64_t identity_number(enum replica_identity identity) {
    switch (identity) {
    case REPLICA_IDENTITY_DEFAULT:
        return 0;
    case REPLICA_IDENTITY_NOTHING:
        return 1;
    case REPLICA_IDENTITY_FULL:
        return 2;
    case REPLICA_IDENTITY_INDEX:
        return 3;
    }
    assert(false && "no replica identity");
    return 0;
}

static void put_head(struct writing *w, enum operation operation) {
    const struct transaction *transaction = w->change->transaction;
    w->at = wire_put_number(w->at, CHANGE_OPERATION, operation);
    w->at = wire_put_bytes_if(w->at, CHANGE_SCHEMA, w->relation->schema);
    w->at = wire_put_bytes_if(w->at, CHANGE_TABLE, w->relation->name);
    w->at = wire_put_number_if(w->at, CHANGE_IDENTITY, identity_number(w->relation->identity));
    w->at = wire_put_number_if(w->at, CHANGE_COMMIT_LSN, transaction->commit_lsn);
    w->at = wire_put_number_if(w->at, CHANGE_INDEX, w->change->index);
    w->at = wire_put_number_if(w->at, CHANGE_XID, transaction->xid);
    w->at = wire_put_number_if(w->at, CHANGE_COMMIT_TIME, record_unix_us(transaction->commit_time_us));
}

static void put_truncate(struct writing *w) {
    const bool cascade = w->change->truncate_flags & TRUNCATE_CASCADE;
    const bool restart = w->change->truncate_flags & TRUNCATE_RESTART_IDENTITY;
    w->at = wire_put_head(w->at, CHANGE_TRUNCATED, wire_number_size(cascade) + wire_number_size(restart));
    w->at = wire_put_number_if(w->at, TRUNCATED_CASCADE, cascade);
    w->at = wire_put_number_if(w->at, TRUNCATED_RESTART_IDENTITY, restart);
}

static bool put_rows(struct writing *w) {
    const struct change *change = w->change;
    return (change->old_values == NULL ||
            put_columns(w, CHANGE_BEFORE, change->old_values, change->old_kind == OLD_KEY)) &&
           (change->new_values == NULL || put_columns(w, CHANGE_AFTER, change->new_values, false));
}

static bool put_change(struct writing *w) {
    put_head(w, operation_of(w->change));
    if (change_is_row(w->change))
        return put_rows(w);
    put_truncate(w);
    return true;
}

static bool put_moved(struct writing *w) {
    put_head(w, DELETE);
    return put_columns(w, CHANGE_BEFORE, w->change->old_values, true) && put_moved_to(w);
}

static bool put_new_key(struct writing *w) {
    return put_key(w, false);
}

static bool put_old_key(struct writing *w) {
    return put_key(w, true);
}

/* ---- room ---- */

static size_t values_room(const struct value *values, uint32_t count) {
    size_t room = 0;
    for (uint32_t i = 0; values != NULL && i < count; i++)
        room += values[i].size;
    return room;
}

static size_t columns_room(const struct relation *relation) {
    size_t room = relation->column_count * (size_t) COLUMN_HEAD_MAX;
    for (uint32_t i = 0; i < relation->column_count; i++)
        room += relation->columns[i].name.size + relation->columns[i].type_name.size +
                relation->columns[i].type_schema.size;
    return room;
}

/*
 * An old key's values may be in the record twice: in before, and in moved_to for those that were not sent
 * again.
 */
static size_t room_for(const struct change *change, const struct relation *relation) {
    size_t room = RECORD_HEAD_MAX + 2 * (relation->schema.size + relation->name.size);
    if (!change_is_row(change))
        return room;
    const size_t rows = (change->old_values != NULL) + (change->new_values != NULL);
    const size_t olds = change->old_kind == OLD_KEY ? 2 : 1;
    return room + rows * columns_room(relation) +
           olds * values_room(change->old_values, relation->column_count) +
           values_room(change->new_values, relation->column_count);
}

static bool write_with(const struct change *change, uint32_t relation_index, bool (*put)(struct writing *w),
                       struct buffer *buffer, struct error *err) {
    struct writing w = {.change = change, .buffer = buffer, .err = err};
    w.relation = change_is_row(change) ? change->relation : change->relations[relation_index];
    if (!utf8_is_valid(w.relation->schema) || !utf8_is_valid(w.relation->name))
        return refuse_record(&w, "its name or its schema's is not UTF-8");
    size_t room = room_for(change, w.relation);
    if (!buffer_reserve(buffer, room))
        return refuse_record(&w, "no memory for its record");
    w.at = buffer->data + buffer->size;
    if (!put(&w))
        return false;
    size_t size = (size_t) (w.at - buffer->data) - buffer->size;
    assert(size <= room);
    if (size > RECORD_BYTES_MAX)
        return refuse_record(&w, "its record is larger than the 2 GiB that protobuf allows");
    buffer->size += size;
    return true;
}

bool record_write(const struct change *change, uint32_t relation_index, struct buffer *buffer,
                  struct error *err) {
    return write_with(change, relation_index, put_change, buffer, err);
}

bool record_write_moved(const struct change *change, struct buffer *buffer, struct error *err) {
    return write_with(change, 0, put_moved, buffer, err);
}

bool record_write_key(const struct change *change, uint32_t relation_index, struct buffer *buffer,
                      struct error *err) {
    return write_with(change, relation_index, put_new_key, buffer, err);
}

bool record_write_old_key(const struct change *change, struct buffer *buffer, struct error *err) {
    return write_with(change, 0, put_old_key, buffer, err);
}
