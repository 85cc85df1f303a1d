/* SPDX-License-Identifier: Apache-2.0 */
/*
 * debezium_definition.c - see debezium_definition.h.
 */
#include "sinks/formats/debezium/debezium_definition.h"

#include "cdc/base/epoch.h"
#include "cdc/base/json_text.h"

static bool append_pair(struct buffer *json, const char *key, struct slice text) {
    buffer_append_text(json, key);
    return json_append_string(json, text);
}

static void append_flag(struct buffer *json, const char *key, bool is) {
    buffer_append_text(json, key);
    buffer_append_text(json, is ? "true" : "false");
}

static bool append_described(struct buffer *json, const struct schema_column *column, uint32_t position) {
    const struct slice schema = column->type_schema.size > 0 ? column->type_schema : slice_of("pg_catalog");
    if (!append_pair(json, "{\"name\":", column->name) ||
        !append_pair(json, ",\"typeName\":", column->type_name) ||
        !append_pair(json, ",\"typeSchema\":", schema))
        return false;
    buffer_printf(json, ",\"typeModifier\":%d,\"position\":%u", column->type_modifier, position);
    append_flag(json, ",\"key\":", column->is_key);
    if (column->number == 0)
        buffer_append_text(json, ",\"number\":null");
    else
        buffer_printf(json, ",\"number\":%u", column->number);
    if (column->renamed_from.size > 0 && !append_pair(json, ",\"renamedFrom\":", column->renamed_from))
        return false;
    buffer_append_text(json, "}");
    return true;
}

static bool append_table_name(struct buffer *json, struct slice schema, struct slice table) {
    if (!append_pair(json, "{\"schema\":", schema) || !append_pair(json, ",\"table\":", table))
        return false;
    buffer_append_text(json, "}");
    return true;
}

static bool append_definition(struct buffer *json, const struct schema_record *record) {
    if (!append_pair(json, "{\"schema\":", record->schema) ||
        !append_pair(json, ",\"table\":", record->table))
        return false;
    buffer_printf(json, ",\"oid\":%u,\"commit_lsn\":%llu,\"lsn\":%llu,\"ts_ms\":", record->oid,
                  (unsigned long long) record->commit_lsn, (unsigned long long) record->lsn);
    json_append_integer(json, (record->commit_time_us + POSTGRES_EPOCH_US) / 1000);
    buffer_printf(json, ",\"replicaIdentity\":\"%c\"", (char) record->identity);
    if (record->old_table.size > 0) {
        buffer_append_text(json, ",\"renamedFrom\":");
        if (!append_table_name(json, record->old_schema, record->old_table))
            return false;
    }
    buffer_append_text(json, ",\"columns\":[");
    for (uint32_t i = 0; i < record->column_count; i++) {
        buffer_append_text(json, i > 0 ? "," : "");
        if (!append_described(json, &record->columns[i], i + 1))
            return false;
    }
    buffer_append_text(json, "]}");
    return true;
}

static bool end_definition(const struct schema_record *record, bool is_written, const struct buffer *json,
                           struct error *err) {
    if (!is_written)
        return error_set(err, ERROR_DATA, "the definition of table %.*s.%.*s: a name is not UTF-8",
                         (int) record->schema.size, record->schema.data, (int) record->table.size,
                         record->table.data);
    return buffer_ok(json) || error_no_memory(err);
}

bool debezium_definition_write_key(const struct schema_record *record, struct buffer *json,
                                   struct error *err) {
    return end_definition(record, append_table_name(json, record->schema, record->table), json, err);
}

bool debezium_definition_write(const struct schema_record *record, struct buffer *json, struct error *err) {
    return end_definition(record, append_definition(json, record), json, err);
}
