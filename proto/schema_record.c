/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_record.c - see schema_record.h.
 */
#include "proto/schema_record.h"

#include "cdc/base/utf8.h"
#include "proto/change.pb-c.h"
#include "proto/record_type.h"
#include "proto/wire.h"

enum {
    TABLE_SCHEMA = 1,
    TABLE_NAME = 2,
    TABLE_OID = 3,
    TABLE_IDENTITY = 4,
    TABLE_COMMIT_LSN = 5,
    TABLE_INDEX = 6,
    TABLE_COMMIT_TIME = 7,
    TABLE_COLUMNS = 8,
    TABLE_OLD_SCHEMA = 9,
    TABLE_OLD_NAME = 10,
};

/* The first ones are those of Column and Key: record_type.h. */
enum { COLUMN_NUMBER = 6, COLUMN_OLD_NAME = 7 };

enum { SCHEMA_HEAD_MAX = 128, SCHEMA_COLUMN_HEAD_MAX = 64 }; /* tags, sizes and numbers */

/* ---- writing ---- */

static uint64_t schema_identity_number(enum replica_identity identity) {
    switch (identity) {
    case REPLICA_IDENTITY_DEFAULT:
        return PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_DEFAULT;
    case REPLICA_IDENTITY_NOTHING:
        return PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_NOTHING;
    case REPLICA_IDENTITY_FULL:
        return PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_FULL;
    case REPLICA_IDENTITY_INDEX:
        break;
    }
    return PGCDC__V1__REPLICA_IDENTITY__REPLICA_IDENTITY_INDEX;
}

static size_t texts_of(const struct schema_column *column) {
    return column->name.size + column->type_name.size + column->type_schema.size + column->renamed_from.size;
}

static size_t room_for_schema(const struct schema_record *record) {
    size_t room = SCHEMA_HEAD_MAX + record->schema.size + record->table.size + record->old_schema.size +
                  record->old_table.size;
    for (uint32_t i = 0; i < record->column_count; i++)
        room += SCHEMA_COLUMN_HEAD_MAX + texts_of(&record->columns[i]);
    return room;
}

/* -1, none, is absent. A modifier is an int32, which protobuf widens with its sign. */
static size_t modifier_size(const struct schema_column *column) {
    return column->type_modifier != -1 ? 1 + wire_varint_size((uint64_t) (int64_t) column->type_modifier) : 0;
}

static char *put_schema_column(char *at, const struct schema_column *column) {
    at = wire_put_head(at, TABLE_COLUMNS,
                       wire_bytes_size(column->name.size) + wire_bytes_size(column->type_name.size) +
                           wire_bytes_size(column->type_schema.size) + modifier_size(column) +
                           wire_number_size(column->is_key) + wire_number_size(column->number) +
                           wire_bytes_size(column->renamed_from.size));
    at = wire_put_bytes_if(at, COLUMN_NAME, column->name);
    at = wire_put_bytes_if(at, COLUMN_TYPE, column->type_name);
    at = wire_put_bytes_if(at, COLUMN_TYPE_SCHEMA, column->type_schema);
    if (column->type_modifier != -1)
        at = wire_put_number(at, COLUMN_TYPE_MODIFIER, (uint64_t) (int64_t) column->type_modifier);
    at = wire_put_number_if(at, COLUMN_KEY, column->is_key);
    at = wire_put_number_if(at, COLUMN_NUMBER, column->number);
    return wire_put_bytes_if(at, COLUMN_OLD_NAME, column->renamed_from);
}

static char *put_schema_head(char *at, const struct schema_record *record) {
    at = wire_put_bytes_if(at, TABLE_SCHEMA, record->schema);
    at = wire_put_bytes_if(at, TABLE_NAME, record->table);
    at = wire_put_number_if(at, TABLE_OID, record->oid);
    at = wire_put_number_if(at, TABLE_IDENTITY, schema_identity_number(record->identity));
    at = wire_put_number_if(at, TABLE_COMMIT_LSN, record->commit_lsn);
    at = wire_put_number_if(at, TABLE_INDEX, record->index);
    return wire_put_number_if(at, TABLE_COMMIT_TIME, record_unix_us(record->commit_time_us));
}

static bool schema_record_refuse(const struct schema_record *record, const char *problem, struct error *err) {
    return error_set(err, ERROR_DATA, "the definition of table %.*s.%.*s: %s", (int) record->schema.size,
                     record->schema.data, (int) record->table.size, record->table.data, problem);
}

static bool is_schema_valid(const struct schema_record *record) {
    bool is_valid = utf8_is_valid(record->schema) && utf8_is_valid(record->table);
    for (uint32_t i = 0; i < record->column_count && is_valid; i++)
        is_valid = utf8_is_valid(record->columns[i].name) && utf8_is_valid(record->columns[i].type_name) &&
                   utf8_is_valid(record->columns[i].type_schema);
    return is_valid;
}

bool schema_record_write_key(const struct schema_record *record, struct buffer *buffer, struct error *err) {
    if (!utf8_is_valid(record->schema) || !utf8_is_valid(record->table))
        return schema_record_refuse(record, "a name is not UTF-8", err);
    if (!buffer_reserve(buffer, room_for_schema(record)))
        return error_no_memory(err);
    char *at = buffer->data + buffer->size;
    at = wire_put_bytes_if(at, KEY_SCHEMA, record->schema);
    at = wire_put_bytes_if(at, KEY_TABLE, record->table);
    buffer->size = (size_t) (at - buffer->data);
    return true;
}

bool schema_record_write(const struct schema_record *record, struct buffer *buffer, struct error *err) {
    if (!is_schema_valid(record))
        return schema_record_refuse(record, "a name is not UTF-8", err);
    if (!buffer_reserve(buffer, room_for_schema(record)))
        return error_no_memory(err);
    char *at = put_schema_head(buffer->data + buffer->size, record);
    for (uint32_t i = 0; i < record->column_count; i++)
        at = put_schema_column(at, &record->columns[i]);
    at = wire_put_bytes_if(at, TABLE_OLD_SCHEMA, record->old_schema);
    at = wire_put_bytes_if(at, TABLE_OLD_NAME, record->old_table);
    buffer->size = (size_t) (at - buffer->data);
    return true;
}

/* ---- reading ---- */

static enum replica_identity schema_identity_of(Pgcdc__V1__ReplicaIdentity identity) {
    static const enum replica_identity IDENTITIES[] = {REPLICA_IDENTITY_DEFAULT, REPLICA_IDENTITY_NOTHING,
                                                       REPLICA_IDENTITY_FULL, REPLICA_IDENTITY_INDEX};
    const size_t at = (size_t) identity;
    return at < sizeof IDENTITIES / sizeof *IDENTITIES ? IDENTITIES[at] : (enum replica_identity) 0;
}

static struct schema_column schema_column_of(const Pgcdc__V1__TableColumn *column) {
    const bool has_modifier = column->modifier_case == PGCDC__V1__TABLE_COLUMN__MODIFIER_TYPE_MODIFIER;
    return (struct schema_column){.name = slice_of(column->name),
                                  .type_name = slice_of(column->type),
                                  .type_schema = slice_of(column->type_schema),
                                  .type_modifier = has_modifier ? column->type_modifier : -1,
                                  .is_key = column->key,
                                  .number = column->number,
                                  .renamed_from = slice_of(column->renamed_from)};
}

static struct schema_record schema_record_of(const Pgcdc__V1__TableSchema *message) {
    return (struct schema_record){.schema = slice_of(message->schema),
                                  .table = slice_of(message->table),
                                  .oid = message->oid,
                                  .identity = schema_identity_of(message->replica_identity),
                                  .old_schema = slice_of(message->renamed_from_schema),
                                  .old_table = slice_of(message->renamed_from_table),
                                  .commit_lsn = message->commit_lsn,
                                  .index = message->index,
                                  .commit_time_us =
                                      (int64_t) ((uint64_t) message->commit_time_us - record_unix_us(0)),
                                  .column_count = (uint32_t) message->n_columns};
}

static void *schema_record_allocate(void *arena, size_t size) {
    return arena_alloc(arena, size);
}

/* The arena releases everything. */
static void schema_record_free(void *arena, void *memory) {
    (void) arena, (void) memory;
}

bool schema_record_read(struct slice bytes, struct arena *arena, struct schema_record *ret_record,
                        struct error *err) {
    ProtobufCAllocator allocator = {
        .alloc = schema_record_allocate, .free = schema_record_free, .allocator_data = arena};
    const Pgcdc__V1__TableSchema *message =
        pgcdc__v1__table_schema__unpack(&allocator, bytes.size, (const uint8_t *) bytes.data);
    if (message == NULL || message->n_columns > RELATION_COLUMNS_MAX ||
        schema_identity_of(message->replica_identity) == 0)
        return error_set(err, ERROR_PROTOCOL, "it is no definition of a table");
    struct schema_record record = schema_record_of(message);
    record.columns = arena_alloc_zero(arena, (message->n_columns + 1) * sizeof *record.columns);
    if (record.columns == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < record.column_count; i++)
        record.columns[i] = schema_column_of(message->columns[i]);
    *ret_record = record;
    return true;
}
