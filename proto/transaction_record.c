/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction_record.c - see transaction_record.h.
 */
#include "proto/transaction_record.h"

#include "cdc/base/utf8.h"
#include "proto/record_type.h"
#include "proto/wire.h"

enum { STATUS = 1, XID = 2, COMMIT_LSN = 3, COMMIT_TIME = 4, CHANGE_COUNT = 5, TABLES = 6 };
enum { TABLE_SCHEMA = 1, TABLE_NAME = 2, TABLE_CHANGE_COUNT = 3 };

enum { KEY_COMMIT_LSN = 1 };

enum { HEAD_MAX = 64, TABLE_HEAD_MAX = 64 }; /* tags, sizes and numbers */

static size_t room_for(const struct transaction_record *record) {
    size_t room = HEAD_MAX + record->table_count * TABLE_HEAD_MAX;
    for (size_t i = 0; i < record->table_count; i++)
        room += record->tables[i].relation->schema.size + record->tables[i].relation->name.size;
    return room;
}

static char *put_table(char *at, const struct table_count *table) {
    const struct relation *relation = table->relation;
    at = wire_put_head(at, TABLES,
                       wire_bytes_size(relation->schema.size) + wire_bytes_size(relation->name.size) +
                           wire_number_size(table->change_count));
    at = wire_put_bytes_if(at, TABLE_SCHEMA, relation->schema);
    at = wire_put_bytes_if(at, TABLE_NAME, relation->name);
    return wire_put_number_if(at, TABLE_CHANGE_COUNT, table->change_count);
}

static char *put_head(char *at, const struct transaction_record *record) {
    const struct transaction *transaction = record->transaction;
    at = wire_put_number(at, STATUS, record->status);
    at = wire_put_number_if(at, XID, transaction->xid);
    at = wire_put_number_if(at, COMMIT_LSN, transaction->commit_lsn);
    at = wire_put_number_if(at, COMMIT_TIME, record_unix_us(transaction->commit_time_us));
    return wire_put_number_if(at, CHANGE_COUNT, record->change_count);
}

static bool transaction_record_refuse(const struct transaction_record *record, const char *problem,
                                      struct error *err) {
    return error_set(err, ERROR_DATA, "the record of the transaction at %s: %s",
                     lsn_format(record->transaction->commit_lsn).text, problem);
}

bool transaction_record_write_key(const struct transaction_record *record, struct buffer *buffer,
                                  struct error *err) {
    if (!buffer_reserve(buffer, HEAD_MAX))
        return transaction_record_refuse(record, "no room for its key", err);
    char *at = buffer->data + buffer->size;
    buffer->size += (size_t) (wire_put_number_if(at, KEY_COMMIT_LSN, record->transaction->commit_lsn) - at);
    return true;
}

bool transaction_record_write(const struct transaction_record *record, struct buffer *buffer,
                              struct error *err) {
    for (size_t i = 0; i < record->table_count; i++)
        if (!utf8_is_valid(record->tables[i].relation->schema) ||
            !utf8_is_valid(record->tables[i].relation->name))
            return transaction_record_refuse(record, "the name of a table is not UTF-8", err);
    if (!buffer_reserve(buffer, room_for(record)))
        return transaction_record_refuse(record, "no room for its tables", err);
    char *at = put_head(buffer->data + buffer->size, record);
    for (size_t i = 0; i < record->table_count; i++)
        at = put_table(at, &record->tables[i]);
    buffer->size = (size_t) (at - buffer->data);
    return true;
}
