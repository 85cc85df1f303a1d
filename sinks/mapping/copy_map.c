/* SPDX-License-Identifier: Apache-2.0 */
/*
 * copy_map.c - reads fields, maps them as row_map.c does, and writes fields.
 *
 *     row   := field (TAB field)* LF          backslash escapes: \b \f \n \r \t \v \\
 *     field := "\N" for NULL, or text
 */
#include "sinks/mapping/copy_map.h"

#include <string.h>

#include "sinks/mapping/row_sql.h"

enum { BLOCK_BYTES = 64 * 1024 };

/* One row of the largest size that COPY can send, and its copy. */
#define ROW_BYTES_MAX ((size_t) 3 << 30)

bool copy_map_begin(struct copy_map *copy, const struct table_map *map, const struct table *table,
                    const struct table *mapped, struct evaluator *evaluator, struct arena *arena,
                    struct error *err) {
    copy_map_release(copy);
    copy->map = map;
    copy->evaluator = evaluator;
    copy->column_count = table->column_count;
    copy->columns = arena_alloc_zero(arena, (table->column_count + 1) * sizeof *copy->columns);
    copy->fields = arena_alloc_zero(arena, (table->column_count + 1) * sizeof *copy->fields);
    copy->values = arena_alloc_zero(arena, (table->column_count + 1) * sizeof *copy->values);
    copy->takes = arena_alloc_zero(arena, mapped->column_count + 1);
    arena_init(&copy->arena, BLOCK_BYTES, ROW_BYTES_MAX);
    buffer_init(&copy->bytes, ROW_BYTES_MAX);
    buffer_init(&copy->row, ROW_BYTES_MAX);
    if (copy->columns == NULL || copy->fields == NULL || copy->values == NULL || copy->takes == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < table->column_count; i++) {
        const bool is_sent = table_column_is_copied(&table->columns[i]);
        copy->columns[i].name = slice_of(table->columns[i].name);
        copy->columns[i].type_oid = table->columns[i].type_oid;
        copy->fields[i] = is_sent ? copy->field_count++ : -1;
    }
    for (uint32_t i = 0; i < mapped->column_count; i++)
        copy->takes[i] = table_column_is_copied(&mapped->columns[i]);
    return true;
}

void copy_map_release(struct copy_map *copy) {
    arena_release(&copy->arena);
    buffer_release(&copy->bytes);
    buffer_release(&copy->row);
    *copy = (struct copy_map){0};
}

/* ---- reading ---- */

static char letter_of(char escaped) {
    static const char FROM[] = "bfnrtv", TO[] = "\b\f\n\r\t\v";
    const char *at = memchr(FROM, escaped, sizeof FROM - 1);
    return at != NULL ? TO[at - FROM] : escaped;
}

/* In place; text never grows. */
static size_t unescape_text(char *field, size_t size) {
    char *out = memchr(field, '\\', size);
    if (out == NULL)
        return size;
    for (const char *in = out, *end = field + size; in < end; in++) {
        const bool is_escaped = *in == '\\' && in + 1 < end;
        in += is_escaped;
        *out++ = is_escaped ? letter_of(*in) : *in;
    }
    return (size_t) (out - field);
}

static struct value read_field(char *field, size_t size) {
    if (size == 2 && field[0] == '\\' && field[1] == 'N')
        return (struct value){.kind = VALUE_NULL};
    return (struct value){.data = field, .size = (uint32_t) unescape_text(field, size), .kind = VALUE_TEXT};
}

/* line: without its LF; changed. */
static bool read_row(struct copy_map *copy, char *line, size_t size, struct error *err) {
    char *at = line;
    char *const end = line + size;
    int32_t field = 0;
    for (uint32_t i = 0; i < copy->column_count; i++) {
        copy->values[i] = (struct value){.kind = VALUE_NULL};
        if (copy->fields[i] < 0)
            continue;
        if (at > end)
            return error_set(err, ERROR_PROTOCOL, "a row of COPY has fewer fields than the table columns");
        char *tab = memchr(at, '\t', (size_t) (end - at));
        char *stop = tab != NULL ? tab : end;
        copy->values[i] = read_field(at, (size_t) (stop - at));
        at = stop + 1;
        field++;
    }
    return at == end + 1 || copy->field_count == 0 ||
           error_set(err, ERROR_PROTOCOL, "a row of COPY has more fields than the table columns");
}

/* ---- writing ---- */

static char escape_of(char letter) {
    static const char FROM[] = "\b\f\n\r\t\v\\", TO[] = "bfnrtv\\";
    const char *at = memchr(FROM, letter, sizeof FROM - 1);
    return at != NULL ? TO[at - FROM] : '\0';
}

static void append_field(struct buffer *bytes, const struct value *value) {
    if (value->kind == VALUE_NULL) {
        buffer_append_text(bytes, "\\N");
        return;
    }
    const char *plain = value->data, *const end = value->data + value->size;
    for (const char *at = plain; at < end; at++) {
        const char escape = escape_of(*at);
        if (escape == '\0')
            continue;
        const char pair[2] = {'\\', escape};
        buffer_append(bytes, plain, (size_t) (at - plain));
        buffer_append(bytes, pair, sizeof pair);
        plain = at + 1;
    }
    buffer_append(bytes, plain, (size_t) (end - plain));
}

static bool write_row(struct copy_map *copy, const struct value *values, struct error *err) {
    const struct change read = {.kind = CHANGE_READ, .index = copy->row_count++};
    bool is_first = true;
    for (uint32_t i = 0; i < copy->map->column_count; i++) {
        struct value value;
        if (!copy->takes[i])
            continue;
        if (!row_map_value(copy->map, i, copy->columns, values, &read, &copy->arena, &value, err))
            return false;
        if (!is_first)
            buffer_append_text(&copy->bytes, "\t");
        append_field(&copy->bytes, &value);
        is_first = false;
    }
    buffer_append_text(&copy->bytes, "\n");
    return true;
}

static bool map_line(struct copy_map *copy, struct slice line, struct error *err) {
    arena_reset(&copy->arena);
    buffer_reset(&copy->row);
    buffer_append_slice(&copy->row, line);
    return (buffer_ok(&copy->row) || error_no_memory(err)) &&
           read_row(copy, copy->row.data, line.size, err) && write_row(copy, copy->values, err);
}

/* The end of the row at `at`; NULL: it has none. */
static const char *find_end(const char *at, const char *end, struct error *err) {
    const char *line_end = memchr(at, '\n', (size_t) (end - at));
    if (line_end == NULL)
        error_set(err, ERROR_PROTOCOL, "a row of COPY does not end");
    return line_end;
}

static bool map_lines(struct copy_map *copy, struct slice rows, struct error *err) {
    const char *at = rows.data, *const end = rows.data + rows.size;
    while (at < end) {
        const char *line_end = find_end(at, end, err);
        if (line_end == NULL ||
            !map_line(copy, (struct slice){.data = at, .size = (size_t) (line_end - at)}, err))
            return false;
        at = line_end + 1;
    }
    return true;
}

/* ---- rows with expressions ---- */

/* Its values, with room for the results after them. */
static bool read_whole_row(struct copy_map *copy, char *line, size_t size, struct evaluator_row **ret_row,
                           struct error *err) {
    const struct table_expressions *expressions = copy->map->expressions;
    struct evaluator_row *row = arena_alloc_zero(&copy->arena, sizeof *row);
    struct value *values =
        arena_alloc_zero(&copy->arena, (copy->column_count + expressions->count + 1) * sizeof *values);
    if (row == NULL || values == NULL)
        return error_no_memory(err);
    if (!read_row(copy, line, size, err))
        return false;
    memcpy(values, copy->values, copy->column_count * sizeof *values);
    *row = (struct evaluator_row){
        .values = values, .wanted = row_sql_wanted(expressions), .results = values + copy->column_count};
    *ret_row = row;
    return true;
}

static bool compute_rows(struct copy_map *copy, struct slice rows, struct error *err) {
    size_t count = 0, lines = 0;
    arena_reset(&copy->arena);
    buffer_reset(&copy->row);
    buffer_append_slice(&copy->row, rows);
    if (!buffer_ok(&copy->row))
        return error_no_memory(err);
    for (size_t i = 0; i < rows.size; i++)
        lines += rows.data[i] == '\n';
    struct evaluator_row **read = arena_alloc(&copy->arena, (lines + 1) * sizeof(struct evaluator_row *));
    if (read == NULL)
        return error_no_memory(err);
    for (char *at = copy->row.data, *const end = at + rows.size; at < end;) {
        const char *line_end = find_end(at, end, err);
        if (line_end == NULL || !read_whole_row(copy, at, (size_t) (line_end - at), &read[count++], err))
            return false;
        at += line_end - at + 1;
    }
    if (!row_sql_run_rows(copy->evaluator, copy->map, read, count, &copy->arena, err))
        return false;
    for (size_t i = 0; i < count; i++) {
        copy->left_out += !read[i]->passes;
        if (read[i]->passes && !write_row(copy, read[i]->values, err))
            return false;
    }
    return true;
}

bool copy_map_rows(struct copy_map *copy, struct slice rows, struct slice *ret_bytes, struct error *err) {
    buffer_reset(&copy->bytes);
    if (copy->map->expressions != NULL ? !compute_rows(copy, rows, err) : !map_lines(copy, rows, err))
        return false;
    *ret_bytes = buffer_slice(&copy->bytes);
    return buffer_ok(&copy->bytes) || error_no_memory(err);
}
