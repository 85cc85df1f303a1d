/* SPDX-License-Identifier: Apache-2.0 */
/*
 * identifier.c - quoting. Text is UTF-8 (sessions pin it), where no byte of another character equals a quote.
 */
#include "cdc/pq/identifier.h"

/* Two names of 63 bytes, each at most five bytes as \000A. */
enum { PRINTABLE_BYTES_MAX = 1024 };

static void append_doubling(struct buffer *sql, struct slice text, const char *doubled) {
    for (size_t i = 0; i < text.size; i++) {
        if (strchr(doubled, text.data[i]) != NULL && text.data[i] != '\0')
            buffer_append(sql, text.data + i, 1);
        buffer_append(sql, text.data + i, 1);
    }
}

void identifier_append(struct buffer *sql, struct slice name) {
    buffer_append(sql, "\"", 1);
    append_doubling(sql, name, "\"");
    buffer_append(sql, "\"", 1);
}

void identifier_append_qualified(struct buffer *sql, struct slice schema, struct slice name) {
    identifier_append(sql, schema);
    buffer_append(sql, ".", 1);
    identifier_append(sql, name);
}

static bool has_controls(struct slice name) {
    for (size_t i = 0; i < name.size; i++)
        if ((unsigned char) name.data[i] < 0x20 || name.data[i] == 0x7F)
            return true;
    return false;
}

void identifier_append_printable(struct buffer *sql, struct slice name) {
    if (!has_controls(name)) {
        identifier_append(sql, name);
        return;
    }
    buffer_append_text(sql, "U&\"");
    for (size_t i = 0; i < name.size; i++) {
        struct slice one = {.data = name.data + i, .size = 1};
        if (has_controls(one))
            buffer_printf(sql, "\\%04x", (unsigned) (unsigned char) name.data[i]);
        else
            append_doubling(sql, one, "\"\\");
    }
    buffer_append(sql, "\"", 1);
}

void identifier_append_printable_qualified(struct buffer *sql, struct slice schema, struct slice name) {
    identifier_append_printable(sql, schema);
    buffer_append(sql, ".", 1);
    identifier_append_printable(sql, name);
}

const char *identifier_printable(const char *schema, const char *name, struct arena *arena) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = PRINTABLE_BYTES_MAX};
    if (schema != NULL)
        identifier_append_printable_qualified(&text, slice_of(schema), slice_of(name));
    else
        identifier_append_printable(&text, slice_of(name));
    const char *copy = buffer_ok(&text) ? arena_copy(arena, buffer_slice(&text)) : NULL;
    return copy != NULL ? copy : name;
}

void literal_append(struct buffer *sql, struct slice text) {
    bool escape = text.size > 0 && memchr(text.data, '\\', text.size) != NULL;
    buffer_append_text(sql, escape ? " E'" : "'");
    append_doubling(sql, text, "'\\");
    buffer_append(sql, "'", 1);
}
