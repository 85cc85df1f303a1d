/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array_encoder.c - writes arrays as array_in and array_recv read them.
 */
#include "sinks/postgres/apply/array_encoder.h"

#include <assert.h>

#define NULL_SIZE UINT32_MAX /* -1: the size of a value that is null */

void array_encoder_begin(struct array_encoder *array, struct buffer *buffer,
                         const struct target_column *column, bool is_binary, uint32_t count) {
    *array = (struct array_encoder){
        .buffer = buffer, .is_binary = is_binary, .delimiter = column->delimiter, .left = count};
    if (!is_binary) {
        buffer_append_u8(buffer, '{');
        return;
    }
    buffer_append_u32(buffer, 1); /* dimensions */
    buffer_append_u32(buffer, 1); /* may have nulls */
    buffer_append_u32(buffer, column->type_oid);
    buffer_append_u32(buffer, count);
    buffer_append_u32(buffer, 1); /* the first index */
}

static void append_sized(struct buffer *buffer, const struct value *value) {
    if (value->kind == VALUE_NULL) {
        buffer_append_u32(buffer, NULL_SIZE);
        return;
    }
    buffer_append_u32(buffer, value->size);
    buffer_append(buffer, value->data, value->size);
}

/* Always quoted, so that no value is read as NULL or as the end of the array. */
static void append_element(struct buffer *buffer, const struct value *value) {
    buffer_append_u8(buffer, '"');
    for (uint32_t i = 0; i < value->size; i++) {
        if (value->data[i] == '"' || value->data[i] == '\\')
            buffer_append_u8(buffer, '\\');
        buffer_append(buffer, &value->data[i], 1);
    }
    buffer_append_u8(buffer, '"');
}

void array_encoder_add(struct array_encoder *array, const struct value *value) {
    assert(array->left > 0);
    assert(value->kind != VALUE_UNCHANGED);
    array->left--;
    if (array->is_binary) {
        append_sized(array->buffer, value);
        return;
    }
    if (value->kind == VALUE_NULL)
        buffer_append_text(array->buffer, "NULL");
    else
        append_element(array->buffer, value);
    if (array->left > 0)
        buffer_append(array->buffer, &array->delimiter, 1);
}

void array_encoder_end(struct array_encoder *array) {
    assert(array->left == 0);
    if (!array->is_binary)
        buffer_append(array->buffer, "}", 2);
}
