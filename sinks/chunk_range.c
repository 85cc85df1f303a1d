/* SPDX-License-Identifier: Apache-2.0 */
/*
 * chunk_range.c - writes the bounds.
 */
#include "sinks/chunk_range.h"

#include "cdc/pq/identifier.h"

static void append_bound(struct buffer *sql, const struct chunk *chunk, bool is_ordered,
                         const char *comparison, const char *bound) {
    if (bound == NULL)
        return;
    buffer_append_text(sql, is_ordered ? " and (" : " and ");
    identifier_append(sql, slice_of(chunk->column));
    if (is_ordered)
        buffer_printf(sql, ")::%s", chunk->order_sql);
    buffer_append_text(sql, comparison);
    literal_append(sql, slice_of(bound));
}

void chunk_range_append(struct buffer *sql, const struct chunk *chunk) {
    append_bound(sql, chunk, false, " >= ", chunk->low);
    append_bound(sql, chunk, false, " < ", chunk->high);
}

void chunk_range_append_ordered(struct buffer *sql, const struct chunk *chunk) {
    append_bound(sql, chunk, true, " >= ", chunk->low);
    append_bound(sql, chunk, true, " < ", chunk->high);
}
