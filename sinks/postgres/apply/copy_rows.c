/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_rows.c - the text and binary formats of COPY.
 *
 * COPY stores the given values of identity columns, also of GENERATED ALWAYS ones.
 */
#include "sinks/postgres/apply/copy_rows.h"

#include <assert.h>

#define SQL_BYTES_MAX (1024u * 1024u)
#define LARGE_BYTES (64u * 1024u) /* a value of this size is sent by itself */
#define NULL_SIZE UINT32_MAX      /* -1: the size of a value that is null */
#define ROWS_END UINT16_MAX       /* -1: no row, the end */

static bool copy_text(const struct target_table *table, bool is_binary, struct buffer *sql) {
    const char *glue = " (";
    buffer_printf(sql, "copy %s", table->name);
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].is_written)
            continue;
        buffer_printf(sql, "%s%s", glue, table->columns[i].name);
        glue = ", ";
    }
    buffer_printf(sql, ") from stdin%s", is_binary ? " (format binary)" : "");
    return buffer_text(sql) != NULL;
}

static void append_header(struct buffer *buffer) {
    static const char SIGNATURE[] = "PGCOPY\n\377\r\n"; /* and its NUL is the eleventh byte */
    buffer_append(buffer, SIGNATURE, sizeof SIGNATURE);
    buffer_append_u32(buffer, 0); /* flags */
    buffer_append_u32(buffer, 0); /* bytes of header extension */
}

bool copy_rows_begin(struct copy_in *copy, const struct target_table *table, bool is_binary,
                     struct error *err) {
    assert(table->written_count > 0);
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    if (!copy_text(table, is_binary, &sql))
        return error_no_memory(err);
    if (!copy_in_begin(copy, sql.data, err))
        return false;
    if (is_binary)
        append_header(&copy->buffer);
    return true;
}

/* Bytes that COPY would read as the end of a field or a row, or as an escape. */
static char escaped(char byte) {
    switch (byte) {
    case '\\':
        return '\\';
    case '\n':
        return 'n';
    case '\r':
        return 'r';
    case '\t':
        return 't';
    default:
        return '\0';
    }
}

static void append_text(struct buffer *buffer, struct slice text) {
    size_t plain = 0;
    for (size_t i = 0; i < text.size; i++) {
        char escape = escaped(text.data[i]);
        if (escape == '\0')
            continue;
        buffer_append(buffer, text.data + plain, i - plain);
        buffer_append_u8(buffer, '\\');
        buffer_append_u8(buffer, (uint8_t) escape);
        plain = i + 1;
    }
    buffer_append(buffer, text.data + plain, text.size - plain);
}

static bool add_large_text(struct copy_in *copy, struct slice text, struct error *err) {
    for (size_t at = 0; at < text.size; at += LARGE_BYTES) {
        size_t left = text.size - at;
        append_text(&copy->buffer,
                    (struct slice){.data = text.data + at, .size = left < LARGE_BYTES ? left : LARGE_BYTES});
        if (!copy_in_push(copy, err))
            return false;
    }
    return true;
}

static bool add_text(struct copy_in *copy, const struct value *value, struct error *err) {
    if (value->kind == VALUE_NULL)
        buffer_append(&copy->buffer, "\\N", 2);
    else if (value->size >= LARGE_BYTES)
        return add_large_text(copy, value_slice(value), err);
    else
        append_text(&copy->buffer, value_slice(value));
    return true;
}

static bool add_binary(struct copy_in *copy, const struct value *value, struct error *err) {
    if (value->kind == VALUE_NULL) {
        buffer_append_u32(&copy->buffer, NULL_SIZE);
        return true;
    }
    buffer_append_u32(&copy->buffer, value->size);
    if (value->size >= LARGE_BYTES)
        return copy_in_send(copy, value_slice(value), err);
    buffer_append(&copy->buffer, value->data, value->size);
    return true;
}

static bool add_text_row(struct copy_in *copy, const struct target_table *table, const struct value *values,
                         struct error *err) {
    bool is_first = true;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].is_written)
            continue;
        if (!is_first)
            buffer_append_u8(&copy->buffer, '\t');
        is_first = false;
        if (!add_text(copy, &values[i], err))
            return false;
    }
    buffer_append_u8(&copy->buffer, '\n');
    return true;
}

static bool add_binary_row(struct copy_in *copy, const struct target_table *table, const struct value *values,
                           struct error *err) {
    buffer_append_u16(&copy->buffer, (uint16_t) table->written_count);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written && !add_binary(copy, &values[i], err))
            return false;
    return true;
}

bool copy_rows_add(struct copy_in *copy, const struct target_table *table, const struct value *values,
                   bool is_binary, struct error *err) {
    bool added =
        is_binary ? add_binary_row(copy, table, values, err) : add_text_row(copy, table, values, err);
    return added && copy_in_push(copy, err);
}

bool copy_rows_end(struct copy_in *copy, bool is_binary, uint64_t *ret_rows, struct error *err) {
    if (is_binary)
        buffer_append_u16(&copy->buffer, ROWS_END);
    return copy_in_end(copy, ret_rows, err);
}
