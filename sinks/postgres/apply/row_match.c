/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_match.c - how a row is found without a key.
 *
 *     (t.tableoid, t.ctid) = (one row of: a row that is identical, else a row that is equal)
 *
 * Identical: every byte is the same. *= compares images, so it also works for types without an equality
 * operator (json, point) and for NULL; the casts keep the parser from comparing column by column. The image
 * of a row type inside a column depends on the attributes that the type had when the row was written, so
 * such columns are compared as text. Equal: by the columns' own equality operator, where it accepts
 * different bytes (a collation that ignores case, a numeric's scale); a native subscription finds rows this
 * way. An identical row is preferred, so that of 'a' and 'A' the right one is found.
 *
 * Cheaper comparisons come before the exact one: on indexed columns, whose index the planner may use, and on
 * a few others, because most rows already differ there.
 */
#include "sinks/postgres/apply/row_match.h"

#define FILTERS_MAX                                                                                          \
    16u /* columns that are first compared individually; each adds a little to every execution */

struct match {
    struct buffer *sql;
    const struct target_table *table;
    uint32_t nulls;
    struct statement_parameter *parameters;
    int *count;
    const char *glue;
};

uint32_t row_match_nulls(const struct target_table *table, const struct value *values) {
    uint32_t nulls = 0;
    for (uint32_t i = 0; i < table->searched_count; i++)
        if (values[table->searched[i]].kind == VALUE_NULL)
            nulls |= UINT32_C(1) << i;
    return nulls;
}

/* The number of the parameter that holds the column's old value; each value is sent once. */
static int parameter_of(struct match *match, uint32_t column) {
    for (int i = 0; i < *match->count; i++)
        if (match->parameters[i].is_old && match->parameters[i].column == column)
            return i + 1;
    match->parameters[*match->count] = (struct statement_parameter){.column = column, .is_old = true};
    return ++*match->count;
}

static void append_glue(struct match *match) {
    buffer_append_text(match->sql, match->glue);
    match->glue = " and ";
}

static bool is_searched(const struct target_table *table, uint32_t column) {
    for (uint32_t i = 0; i < table->searched_count; i++)
        if (table->searched[i] == column)
            return true;
    return false;
}

static void append_searched(struct match *match) {
    for (uint32_t i = 0; i < match->table->searched_count; i++) {
        const struct target_column *column = &match->table->columns[match->table->searched[i]];
        append_glue(match);
        if ((match->nulls >> i & 1) != 0)
            buffer_printf(match->sql, "w.%s is null", column->name);
        else
            buffer_printf(match->sql, "w.%s %s $%d", column->name, column->equals,
                          parameter_of(match, match->table->searched[i]));
    }
}

/* True for every identical or equal row; NULL is left to the exact comparison that follows. */
static void append_filters(struct match *match) {
    uint32_t left = FILTERS_MAX;
    for (uint32_t i = 0; i < match->table->column_count && left > 0; i++) {
        const struct target_column *column = &match->table->columns[i];
        if (!column->is_written || !column->compares || is_searched(match->table, i))
            continue;
        append_glue(match);
        buffer_printf(match->sql, "(w.%s %s $%d) is not false", column->name, column->equals,
                      parameter_of(match, i));
        left--;
    }
}

/* Is the column compared by its bytes? */
static bool by_image(const struct target_column *column, bool loosely) {
    return column->is_written && !column->holds_row && !(loosely && column->folds);
}

static void append_row(struct match *match, bool loosely, bool as_parameters) {
    bool is_first = true;
    buffer_append_text(match->sql, "row(");
    for (uint32_t i = 0; i < match->table->column_count; i++) {
        const struct target_column *column = &match->table->columns[i];
        if (!by_image(column, loosely))
            continue;
        buffer_append_text(match->sql, is_first ? "" : ", ");
        is_first = false;
        if (as_parameters)
            buffer_printf(match->sql, "$%d", parameter_of(match, i));
        else
            buffer_printf(match->sql, "w.%s", column->name);
    }
    buffer_append_text(match->sql, ")::pg_catalog.record");
}

static void append_image(struct match *match, bool loosely) {
    append_glue(match);
    append_row(match, loosely, false);
    buffer_append_text(match->sql, " operator(pg_catalog.*=) ");
    append_row(match, loosely, true);
}

static void append_texts(struct match *match) {
    for (uint32_t i = 0; i < match->table->column_count; i++) {
        const struct target_column *column = &match->table->columns[i];
        if (!column->is_written || !column->holds_row)
            continue;
        append_glue(match);
        buffer_printf(match->sql,
                      "w.%s::pg_catalog.text collate pg_catalog.\"C\" is not distinct from"
                      " $%d::pg_catalog.text collate pg_catalog.\"C\"",
                      column->name, parameter_of(match, i));
    }
}

static void append_equals(struct match *match) {
    for (uint32_t i = 0; i < match->table->column_count; i++) {
        const struct target_column *column = &match->table->columns[i];
        if (!column->is_written || !column->folds || is_searched(match->table, i))
            continue;
        int number = parameter_of(match, i);
        append_glue(match);
        buffer_printf(match->sql, "(w.%s %s $%d) is not false and (w.%s is null) = ($%d is null)",
                      column->name, column->equals, number, column->name, number);
    }
}

static void append_search(struct match *match, bool loosely) {
    const struct target_table *table = match->table;
    buffer_printf(match->sql, "(select w.tableoid as o, w.ctid as c from %s%s w",
                  table->is_partitioned ? "" : "only ", table->name);
    match->glue = " where ";
    append_searched(match);
    append_filters(match);
    if (loosely)
        append_equals(match);
    append_image(match, loosely);
    append_texts(match);
    buffer_append_text(match->sql, " limit 1)");
}

static bool may_fold(const struct target_table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written && table->columns[i].folds)
            return true;
    return false;
}

void row_match_append(struct buffer *sql, const struct target_table *table, uint32_t nulls,
                      struct statement_parameter *parameters, int *count) {
    struct match match = {
        .sql = sql, .table = table, .nulls = nulls, .parameters = parameters, .count = count};
    buffer_append_text(sql, "(t.tableoid, t.ctid) = (select m.o, m.c from (");
    append_search(&match, false);
    if (may_fold(table)) {
        buffer_append_text(sql, " union all ");
        append_search(&match, true);
    }
    buffer_append_text(sql, ") m limit 1)");
}
