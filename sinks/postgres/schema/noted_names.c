/* SPDX-License-Identifier: Apache-2.0 */
/*
 * noted_names.c - one UPDATE of the rows that have noted one of the names.
 */
#include "sinks/postgres/schema/noted_names.h"

#include "cdc/pq/identifier.h"
#include "sinks/row_mode.h"

#define NAMES_BYTES_MAX ((size_t) 1 << 20)

void noted_names_init(struct noted_names *names) {
    buffer_init(&names->cases, NAMES_BYTES_MAX);
    buffer_init(&names->old, NAMES_BYTES_MAX);
}

void noted_names_release(struct noted_names *names) {
    buffer_release(&names->cases);
    buffer_release(&names->old);
}

void noted_names_change(struct noted_names *names, struct slice from, const struct slice *to) {
    buffer_append_text(&names->cases, " when ");
    literal_append(&names->cases, from);
    buffer_append_text(&names->cases, " then ");
    if (to != NULL)
        literal_append(&names->cases, *to);
    else
        buffer_append_text(&names->cases, "null");
    buffer_append_text(&names->old, names->old.size > 0 ? ", " : "");
    literal_append(&names->old, from);
}

bool noted_names_ok(const struct noted_names *names) {
    return buffer_ok(&names->cases) && buffer_ok(&names->old);
}

/* Of no names an array is null, as in a row that was sent whole. */
void noted_names_append(const struct noted_names *names, const char *table, struct buffer *sql) {
    if (names->old.size == 0)
        return;
    buffer_append_text(sql, sql->size > 0 ? "; " : "");
    buffer_printf(sql,
                  "update %s set " MODE_NAME_UNCHANGED
                  " = (select pg_catalog.array_agg(n.name order by n.place)"
                  " from (select u.place, case u.name",
                  table);
    buffer_append_slice(sql, buffer_slice(&names->cases));
    buffer_append_text(
        sql, " else u.name end as name from pg_catalog.unnest(" MODE_NAME_UNCHANGED
             ") with ordinality u (name, place)) n where n.name is not null) where " MODE_NAME_UNCHANGED
             " && array[");
    buffer_append_slice(sql, buffer_slice(&names->old));
    buffer_append_text(sql, "]::pg_catalog.text[]");
}
