/* SPDX-License-Identifier: Apache-2.0 */
/*
 * snapshot_rows.c - parses COPY's text format.
 *
 *     row   := field (TAB field)* LF          backslash escapes: \b \f \n \r \t \v \\
 *     field := "\N" for NULL, or text
 */
#include "cdc/copy/snapshot_rows.h"

#include <assert.h>
#include <stdlib.h>

#include "cdc/base/amount.h"
#include "cdc/base/clock.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    DEFINITION_BYTES_MAX = 16 * 1024 * 1024,
    SNAPSHOT_BATCH_BYTES = 1024 * 1024,
};

/* One row of the largest size that COPY can send, one copy of it, and its values. */
#define VALUES_BYTES_MAX ((size_t) 3 << 30)

struct snapshot_rows *snapshot_rows_new(struct sink *sink, const struct position *position) {
    struct snapshot_rows *rows = calloc(1, sizeof *rows);
    if (rows == NULL)
        return NULL;
    rows->sink = sink;
    snapshot_rows_place(rows, position, 0);
    arena_init(&rows->definition, BLOCK_BYTES, DEFINITION_BYTES_MAX);
    arena_init(&rows->values, BLOCK_BYTES, VALUES_BYTES_MAX);
    return rows;
}

/*
 * Before everything that follows, and after everything before: the next transaction may commit at the very
 * LSN of the position, and the commit record of the previous one is longer than a byte.
 */
void snapshot_rows_place(struct snapshot_rows *rows, const struct position *position, uint64_t index) {
    rows->lsn = position->end_lsn;
    rows->index = index;
    rows->transaction =
        (struct transaction){.commit_lsn = position->end_lsn - 1, .commit_time_us = clock_postgres_us()};
}

void snapshot_rows_free(struct snapshot_rows *rows) {
    if (rows == NULL)
        return;
    arena_release(&rows->definition);
    arena_release(&rows->values);
    free(rows);
}

static void fill_columns(struct relation *relation, const struct table *table) {
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct table_column *column = &table->columns[i];
        if (!table_column_is_copied(column))
            continue;
        relation->columns[relation->column_count++] =
            (struct column){.name = slice_of(column->name),
                            .type_oid = column->type_oid,
                            .type_modifier = column->type_modifier,
                            .number = column->number,
                            .is_key = column->in_identity,
                            .type_schema = slice_of(column->type_schema),
                            .type_name = slice_of(column->type_name)};
        relation->key_count += column->in_identity;
    }
}

bool snapshot_rows_begin(struct snapshot_rows *rows, const struct table *table, struct error *err) {
    if (!snapshot_rows_write(rows, err))
        return false;
    arena_reset(&rows->definition);
    struct relation *relation = arena_alloc_zero(&rows->definition, sizeof *relation);
    struct column *columns = arena_alloc_zero(&rows->definition, (table->column_count + 1) * sizeof *columns);
    if (relation == NULL || columns == NULL)
        return error_no_memory(err);
    *relation = (struct relation){.oid = table->oid,
                                  .schema = slice_of(table->schema),
                                  .name = slice_of(table->name),
                                  .identity = (enum replica_identity) table->identity,
                                  .columns = columns};
    fill_columns(relation, table);
    rows->relation = relation;
    return true;
}

static char unescape(char letter) {
    switch (letter) {
    case 'b':
        return '\b';
    case 'f':
        return '\f';
    case 'n':
        return '\n';
    case 'r':
        return '\r';
    case 't':
        return '\t';
    case 'v':
        return '\v';
    default:
        return letter;
    }
}

/* Works in place: text never grows. Returns the size. */
static size_t unescape_field(char *field, size_t size) {
    char *in = memchr(field, '\\', size);
    if (in == NULL)
        return size;
    char *out = in;
    for (const char *end = field + size; in < end; in++) {
        if (*in == '\\' && in + 1 < end)
            *out++ = unescape(*++in);
        else
            *out++ = *in;
    }
    return (size_t) (out - field);
}

static struct value take_field(char *field, size_t size) {
    if (size == 2 && memcmp(field, "\\N", 2) == 0)
        return (struct value){.kind = VALUE_NULL};
    return (struct value){.data = field, .size = (uint32_t) unescape_field(field, size), .kind = VALUE_TEXT};
}

static bool snapshot_rows_split(const struct relation *relation, char *row, size_t size,
                                struct value *values) {
    char *end = row + size;
    for (uint32_t i = 0; i < relation->column_count; i++) {
        char *tab = memchr(row, '\t', (size_t) (end - row));
        if ((tab == NULL) != (i + 1 == relation->column_count))
            return false;
        char *field_end = tab != NULL ? tab : end;
        values[i] = take_field(row, (size_t) (field_end - row));
        row = field_end + 1;
    }
    return relation->column_count > 0 || size == 0;
}

static bool malformed(const struct relation *relation, struct error *err) {
    return error_set(err, ERROR_PROTOCOL, "a row of %s.%s from COPY does not have %s", relation->schema.data,
                     relation->name.data, amount_count(relation->column_count, "column").text);
}

bool snapshot_rows_add(struct snapshot_rows *rows, struct slice row, struct error *err) {
    const struct relation *relation = rows->relation;
    assert(relation != NULL);
    assert(rows->count < SNAPSHOT_ROWS_MAX);
    if (row.size == 0 || row.data[row.size - 1] != '\n')
        return malformed(relation, err);
    char *text = arena_copy(&rows->values, row);
    struct value *values = arena_alloc(&rows->values, (relation->column_count + 1) * sizeof *values);
    if (text == NULL || values == NULL)
        return error_no_memory(err);
    if (!snapshot_rows_split(relation, text, row.size - 1, values))
        return malformed(relation, err);
    rows->changes[rows->count++] = (struct change){.kind = CHANGE_READ,
                                                   .lsn = rows->lsn,
                                                   .index = rows->index++,
                                                   .transaction = &rows->transaction,
                                                   .relation = relation,
                                                   .new_values = values};
    if (rows->count == SNAPSHOT_ROWS_MAX || rows->values.used_bytes >= SNAPSHOT_BATCH_BYTES)
        return snapshot_rows_write(rows, err);
    return true;
}

bool snapshot_rows_write(struct snapshot_rows *rows, struct error *err) {
    const struct sink_span span = {.changes = rows->changes, .count = rows->count};
    if (rows->count > 0 && !rows->sink->ops->write(rows->sink, &span, err))
        return false;
    rows->count = 0;
    arena_reset(&rows->values);
    return true;
}
