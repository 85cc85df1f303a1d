/* SPDX-License-Identifier: Apache-2.0 */
/*
 * array_text.c - reads the text of a PostgreSQL array.
 *
 *     text    := [bounds "="] array             bounds: "[" number ":" number "]", once per dimension
 *     array   := "{" [item (delimiter item)*] "}"
 *     item    := array | NULL | quoted | plain
 *
 * PostgreSQL quotes an element that is empty, that reads like NULL or that has a brace, a quote, a backslash,
 * a delimiter or a blank.
 */
#include "sinks/formats/debezium/array_text.h"

enum { DEPTH_MAX = 6 }; /* PostgreSQL's MAXDIM */

#define ELEMENT_BYTES_MAX ((size_t) 1 << 30) /* the limit of a value */

static bool skip_bounds(struct array_text *array) {
    if (array->next == array->end || *array->next != '[')
        return true;
    while (array->next < array->end && *array->next != '=') {
        char letter = *array->next++;
        if (!(letter >= '0' && letter <= '9') && strchr("[]:+-", letter) == NULL)
            return false;
    }
    if (array->next == array->end)
        return false;
    array->next++;
    return true;
}

bool array_text_init(struct array_text *array, struct slice text, char delimiter) {
    *array = (struct array_text){.next = text.data, .end = text.data + text.size, .delimiter = delimiter};
    buffer_init(&array->unescaped, ELEMENT_BYTES_MAX);
    return skip_bounds(array) && array->next < array->end && *array->next == '{';
}

void array_text_release(struct array_text *array) {
    buffer_release(&array->unescaped);
}

static bool take_quoted(struct array_text *array, struct slice *ret_element) {
    struct buffer *unescaped = &array->unescaped;
    buffer_reset(unescaped);
    const char *run = ++array->next;
    while (array->next < array->end && *array->next != '"') {
        if (*array->next == '\\') {
            buffer_append(unescaped, run, (size_t) (array->next - run));
            run = ++array->next;
            if (run == array->end)
                return false;
        }
        array->next++;
    }
    if (array->next == array->end)
        return false;
    struct slice rest = {.data = run, .size = (size_t) (array->next - run)};
    array->next++;
    if (unescaped->size > 0)
        buffer_append_slice(unescaped, rest);
    /* When the first byte is escaped, unescaped is still empty and the rest is the whole element. */
    *ret_element = unescaped->size > 0 ? buffer_slice(unescaped) : rest;
    return buffer_ok(unescaped);
}

static bool is_special(const struct array_text *array, char letter) {
    return letter == array->delimiter || letter == '{' || letter == '}' || letter == '"' || letter == '\\';
}

static bool take_plain(struct array_text *array, enum array_piece *ret_piece, struct slice *ret_element) {
    const char *start = array->next;
    while (array->next < array->end && !is_special(array, *array->next))
        array->next++;
    *ret_element = (struct slice){.data = start, .size = (size_t) (array->next - start)};
    *ret_piece = slice_equal(*ret_element, slice_of("NULL")) ? ARRAY_NULL : ARRAY_ELEMENT;
    return ret_element->size > 0;
}

static bool take_item(struct array_text *array, enum array_piece *ret_piece, struct slice *ret_element) {
    if (array->next == array->end)
        return false;
    if (*array->next == '{') {
        array->next++;
        *ret_piece = ARRAY_OPEN;
        return ++array->depth <= DEPTH_MAX;
    }
    if (array->depth == 0)
        return false;
    array->after_value = true;
    *ret_piece = ARRAY_ELEMENT;
    return *array->next == '"' ? take_quoted(array, ret_element) : take_plain(array, ret_piece, ret_element);
}

static bool close_array(struct array_text *array, enum array_piece *ret_piece) {
    array->next++;
    array->depth--;
    array->after_value = true;
    array->has_ended = array->depth == 0;
    *ret_piece = ARRAY_CLOSE;
    return true;
}

bool array_text_next(struct array_text *array, enum array_piece *ret_piece, struct slice *ret_element) {
    if (array->has_ended) {
        *ret_piece = ARRAY_END;
        return array->next == array->end;
    }
    if (array->next == array->end)
        return false;
    if (array->after_value) {
        if (*array->next == '}')
            return close_array(array, ret_piece);
        if (*array->next++ != array->delimiter)
            return false;
        array->after_value = false;
    } else if (*array->next == '}' && array->depth > 0 && array->next[-1] == '{') {
        return close_array(array, ret_piece);
    }
    return take_item(array, ret_piece, ret_element);
}
