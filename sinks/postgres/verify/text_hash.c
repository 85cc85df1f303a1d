/* SPDX-License-Identifier: Apache-2.0 */
/*
 * text_hash.c - writes the nested calls.
 */
#include "sinks/postgres/verify/text_hash.h"

/* The nesting limit: the server's stack could not hold the 1600 columns that a table may have. */
#define DEPTH_MAX 64

/* A text that no value has by accident. */
static const char NULL_TEXT[] = "'~pgcdc:null:6b1f4e~'";

/* hash(texts[count - 1], ... hash(texts[0], seed)) */
static void append_chain(struct buffer *sql, const char *const *items, size_t count, const char *seed) {
    for (size_t i = count; i > 0; i--)
        buffer_printf(sql, "hashtextextended(coalesce(%s, %s) collate \"C\", ", items[i - 1], NULL_TEXT);
    buffer_append_text(sql, seed);
    for (size_t i = 0; i < count; i++)
        buffer_append_text(sql, ")");
}

/* Several chains, whose hashes are combined as the text of a row. */
static void append_chains(struct buffer *sql, const struct text_list *texts) {
    buffer_append_text(sql, "hashtextextended(row(");
    for (size_t first = 0; first < texts->count; first += DEPTH_MAX) {
        size_t left = texts->count - first;
        buffer_append_text(sql, first > 0 ? ", " : "");
        append_chain(sql, texts->items + first, left < DEPTH_MAX ? left : DEPTH_MAX, "0");
    }
    buffer_append_text(sql, ")::text collate \"C\", 0)");
}

void text_hash_append(struct buffer *sql, const struct text_list *texts) {
    if (texts->count == 0)
        buffer_append_text(sql, "0::bigint");
    else if (texts->count <= DEPTH_MAX)
        append_chain(sql, texts->items, texts->count, "0");
    else
        append_chains(sql, texts);
}

void text_hash_append_md5(struct buffer *sql, const struct text_list *texts) {
    buffer_append_text(sql, "('x' || substr(md5(convert_to(row(");
    for (size_t i = 0; i < texts->count; i++)
        buffer_printf(sql, "%s%s", i > 0 ? ", " : "", texts->items[i]);
    buffer_append_text(sql, ")::text, 'UTF8')), 1, 16))::bit(64)::bigint");
}
