/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_values.c - each in the format of its row.
 */
#include "sinks/mapping/mode_values.h"

#include <inttypes.h>
#include <string.h>

#include "sinks/mapping/row_map.h"

enum { VALUE_BYTES_MAX = 64, NAMES_BYTES_MAX = 1 << 20, TEXT_OID = 25 };

bool mode_values_are_binary(const struct relation *relation, const struct change *change) {
    for (uint32_t i = 0; i < relation->column_count; i++)
        if ((change->new_values != NULL && change->new_values[i].kind == VALUE_BINARY) ||
            (change->old_values != NULL && change->old_values[i].kind == VALUE_BINARY))
            return true;
    return false;
}

/* ---- one value ---- */

static void append_number8(struct buffer *bytes, uint64_t number) {
    buffer_append_u32(bytes, (uint32_t) (number >> 32));
    buffer_append_u32(bytes, (uint32_t) number);
}

static struct value text_value(const char *text, size_t size, bool is_binary) {
    return (struct value){
        .data = text, .size = (uint32_t) size, .kind = is_binary ? VALUE_BINARY : VALUE_TEXT};
}

static bool keep_bytes(struct buffer *bytes, bool is_binary, struct arena *arena, struct value *ret_value,
                       struct error *err) {
    const char *kept = buffer_ok(bytes) ? arena_copy(arena, buffer_slice(bytes)) : NULL;
    if (kept == NULL)
        return error_no_memory(err);
    *ret_value = text_value(kept, bytes->size, is_binary);
    return true;
}

struct value mode_values_flag(bool flag, bool is_binary) {
    if (is_binary)
        return text_value(flag ? "\1" : "\0", 1, true);
    return text_value(flag ? "t" : "f", 1, false);
}

bool mode_values_time(const struct mode_event *event, struct arena *arena, struct value *ret_value,
                      struct error *err) {
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = VALUE_BYTES_MAX};
    const int64_t time_us = event->change->transaction->commit_time_us;
    if (event->is_binary)
        append_number8(&bytes, (uint64_t) time_us);
    else
        row_map_append_time(&bytes, time_us);
    return keep_bytes(&bytes, event->is_binary, arena, ret_value, err);
}

static bool place_value(const struct mode_event *event, bool is_lsn, struct arena *arena,
                        struct value *ret_value, struct error *err) {
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = VALUE_BYTES_MAX};
    const lsn_t lsn = event->change->transaction->commit_lsn;
    if (event->is_binary)
        append_number8(&bytes, is_lsn ? lsn : event->change->index);
    else if (is_lsn)
        buffer_append_text(&bytes, lsn_format(lsn).text);
    else
        buffer_printf(&bytes, "%" PRIu64, event->change->index);
    return keep_bytes(&bytes, event->is_binary, arena, ret_value, err);
}

static const char *letter_text(char op) {
    static const char LETTERS[] = "cudtr";
    return strchr(LETTERS, op);
}

static bool make_value(const struct mode_shape *shape, enum mode_column column,
                       const struct mode_event *event, struct arena *arena, struct value *ret_value,
                       struct error *err) {
    *ret_value = (struct value){.kind = VALUE_NULL};
    switch (column) {
    case MODE_LSN:
    case MODE_INDEX:
        return place_value(event, column == MODE_LSN, arena, ret_value, err);
    case MODE_OP:
        *ret_value = text_value(letter_text(event->op), 1, event->is_binary);
        return true;
    case MODE_COMMIT_TIME:
    case MODE_VALID_FROM:
        return mode_values_time(event, arena, ret_value, err);
    case MODE_DELETED:
        *ret_value = mode_values_flag(event->op == 'd', event->is_binary);
        return true;
    case MODE_CURRENT:
        *ret_value = mode_values_flag(true, event->is_binary);
        return true;
    case MODE_SOURCE:
        *ret_value = text_value(shape->source_name, strlen(shape->source_name), event->is_binary);
        return true;
    case MODE_VALID_TO:
    case MODE_UNCHANGED:
    case MODE_COLUMNS:
        break;
    }
    return true;
}

bool mode_values_set(const struct mode_shape *shape, const struct mode_event *event, struct value *values,
                     struct arena *arena, struct error *err) {
    for (size_t k = 0; k < MODE_COLUMNS; k++)
        if (shape->at[k] >= 0 &&
            !make_value(shape, (enum mode_column) k, event, arena, &values[shape->at[k]], err))
            return false;
    return true;
}

/* ---- names ---- */

static void append_quoted(struct buffer *text, struct slice name) {
    buffer_append_text(text, text->size == 0 ? "{\"" : ",\"");
    for (size_t i = 0; i < name.size; i++) {
        if (name.data[i] == '"' || name.data[i] == '\\')
            buffer_append_text(text, "\\");
        buffer_append(text, &name.data[i], 1);
    }
    buffer_append_text(text, "\"");
}

static void append_array(struct buffer *bytes, const struct mode_shape *shape, const struct value *values,
                         uint32_t count) {
    buffer_append_u32(bytes, 1); /* dimensions */
    buffer_append_u32(bytes, 0); /* has no nulls */
    buffer_append_u32(bytes, TEXT_OID);
    buffer_append_u32(bytes, count);
    buffer_append_u32(bytes, 1); /* the first subscript */
    for (uint32_t i = 0; i < shape->rows->column_count; i++) {
        if (values[i].kind != VALUE_UNCHANGED)
            continue;
        buffer_append_u32(bytes, (uint32_t) shape->rows->columns[i].name.size);
        buffer_append_slice(bytes, shape->rows->columns[i].name);
    }
}

bool mode_values_unchanged(const struct mode_shape *shape, const struct value *values, bool is_binary,
                           struct arena *arena, struct value *ret_value, struct error *err) {
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    uint32_t count = 0;
    *ret_value = (struct value){.kind = VALUE_NULL};
    for (uint32_t i = 0; i < shape->rows->column_count; i++) {
        if (values[i].kind != VALUE_UNCHANGED)
            continue;
        count++;
        if (!is_binary)
            append_quoted(&bytes, shape->rows->columns[i].name);
    }
    if (count == 0)
        return true;
    if (is_binary)
        append_array(&bytes, shape, values, count);
    else
        buffer_append_text(&bytes, "}");
    return keep_bytes(&bytes, is_binary, arena, ret_value, err);
}

/* ---- a copied row ---- */

bool mode_values_copied(const struct table_map *map, enum mode_column column, uint64_t number,
                        struct arena *arena, struct value *ret_value, struct error *err) {
    static const char *const TEXTS[MODE_COLUMNS] = {[MODE_LSN] = "0/0",
                                                    [MODE_OP] = "r",
                                                    [MODE_DELETED] = "f",
                                                    [MODE_VALID_FROM] = "-infinity",
                                                    [MODE_CURRENT] = "t"};
    struct buffer bytes AUTO(buffer_release) = {.bytes_max = VALUE_BYTES_MAX};
    const char *text = column == MODE_SOURCE ? map->source_name : TEXTS[column];
    *ret_value = (struct value){.kind = VALUE_NULL};
    if (text != NULL)
        *ret_value = text_value(text, strlen(text), false);
    if (column != MODE_INDEX)
        return true;
    buffer_printf(&bytes, "%" PRIu64, number);
    return keep_bytes(&bytes, false, arena, ret_value, err);
}
