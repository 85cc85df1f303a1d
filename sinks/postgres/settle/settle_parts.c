/* SPDX-License-Identifier: Apache-2.0 */
/*
 * settle_parts.c - "offset 0" keeps a lookup of one key from becoming a join.
 */
#include "sinks/postgres/settle/settle_parts.h"

#include "cdc/pq/identifier.h"
#include "sinks/row_mode.h"

void settle_append_column(struct buffer *sql, const struct settled *settled, int row, const char *alias) {
    buffer_append_text(sql, alias);
    identifier_append(sql, slice_of(PQgetvalue(settled->columns, row, SETTLED_NAME)));
}

/* alias: "c." or "". */
void settle_append_keys(struct buffer *sql, const struct settled *settled, const char *alias) {
    const char *glue = "";
    for (int row = 0; row < PQntuples(settled->columns); row++)
        if (settled_is_key(settled, row)) {
            buffer_append_text(sql, glue);
            settle_append_column(sql, settled, row, alias);
            glue = ", ";
        }
}

/* All columns of the settled table: those of the rows, and their source. */
void settle_append_all(struct buffer *sql, const struct settled *settled, const char *alias) {
    for (int row = 0; row < PQntuples(settled->columns); row++) {
        settle_append_column(sql, settled, row, alias);
        buffer_append_text(sql, ", ");
    }
    buffer_printf(sql, "%s" MODE_NAME_SOURCE, alias);
}

void settle_append_same_key(struct buffer *sql, const struct settled *settled, const char *one,
                            const char *other) {
    const char *glue = "";
    for (int row = 0; row < PQntuples(settled->columns); row++)
        if (settled_is_key(settled, row)) {
            buffer_append_text(sql, glue);
            settle_append_column(sql, settled, row, one);
            buffer_append_text(sql, " = ");
            settle_append_column(sql, settled, row, other);
            glue = " and ";
        }
}

/* As in pgcdc.rejected. */
void settle_append_key_object(struct buffer *sql, const struct settled *settled, const char *alias) {
    const char *glue = "jsonb_build_object(";
    for (int row = 0; row < PQntuples(settled->columns); row++)
        if (settled_is_key(settled, row)) {
            buffer_append_text(sql, glue);
            literal_append(sql, slice_of(PQgetvalue(settled->columns, row, SETTLED_NAME)));
            buffer_append_text(sql, ", ");
            settle_append_column(sql, settled, row, alias);
            glue = ", ";
        }
    buffer_append_text(sql, ")");
}

/* The values of the expressions, each with text around it. */
void settle_append_by(struct buffer *sql, const struct settled *settled, const char *before,
                      const char *after, const char *glue) {
    for (size_t i = 0; i < settled->policy->by_count; i++)
        buffer_printf(sql, "%s%s_pgcdc_by_%zu%s", i > 0 ? glue : "", before, i + 1, after);
}

void settle_append_same_group(struct buffer *sql, const struct settled *settled, const char *one,
                              const char *other) {
    for (size_t i = 0; i < settled->policy->by_count; i++)
        buffer_printf(sql, "%s%s_pgcdc_by_%zu = %s_pgcdc_by_%zu", i > 0 ? " and " : "", one, i + 1, other,
                      i + 1);
}

void settle_append_candidates(struct buffer *sql, const struct settled *settled) {
    identifier_append_qualified(sql, slice_of(settled->schema), slice_of(settled->candidates));
}

void settle_append_table(struct buffer *sql, const struct settled *settled) {
    identifier_append_qualified(sql, slice_of(settled->schema), slice_of(settled->table));
}

/* rows: a transition table; NULL: the candidates. With dedupe, with the values of the expressions. */
void settle_append_rows(struct buffer *sql, const struct settled *settled, const char *rows) {
    if (settled_has_groups(settled))
        buffer_append_text(sql, "(select x.*");
    for (size_t i = 0; i < settled->policy->by_count; i++)
        buffer_printf(sql, ", (%s) as _pgcdc_by_%zu", settled->policy->by[i], i + 1);
    if (settled_has_groups(settled))
        buffer_append_text(sql, " from ");
    if (rows != NULL)
        buffer_append_text(sql, rows);
    else
        settle_append_candidates(sql, settled);
    if (settled_has_groups(settled))
        buffer_append_text(sql, " x)");
}

/* " cross join lateral (...) c": the candidates of a key k, or of a group g. */
void settle_append_lookup(struct buffer *sql, const struct settled *settled, bool of_group) {
    buffer_append_text(sql, " cross join lateral (select * from ");
    settle_append_rows(sql, settled, NULL);
    buffer_append_text(sql, " y where ");
    if (of_group)
        settle_append_same_group(sql, settled, "y.", "g.");
    else
        settle_append_same_key(sql, settled, "y.", "k.");
    buffer_append_text(sql, " offset 0) c");
}

/* "(...) t": the row of a key k in the settled table. */
void settle_append_place(struct buffer *sql, const struct settled *settled) {
    buffer_append_text(sql, "(select t.ctid, t." MODE_NAME_SOURCE " from ");
    settle_append_table(sql, settled);
    buffer_append_text(sql, " t where ");
    settle_append_same_key(sql, settled, "t.", "k.");
    buffer_append_text(sql, " offset 0) t");
}
