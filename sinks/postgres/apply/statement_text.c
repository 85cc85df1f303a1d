/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement_text.c - writes SQL.
 *
 * Every parameter has the type of its column, so the text has no casts. A plain table is named with ONLY:
 * the source sends each table's own rows, and a table that inherits from it has changes of its own.
 */
#include "sinks/postgres/apply/statement_text.h"

#include "sinks/postgres/apply/row_match.h"
#include "sinks/postgres/apply/statement_image.h"
#include "sinks/row_mode.h"

struct text {
    struct buffer *sql;
    const struct target_table *table;
    const struct column_set *written;
    uint32_t nulls;
    bool counts_one;
    uint16_t origin;
    struct statement_parameter *parameters;
    int count;
};

static void statement_text_append(struct text *text, const char *sql) {
    buffer_append_text(text->sql, sql);
}

static void append_table(struct text *text) {
    buffer_printf(text->sql, "%s%s", text->table->is_partitioned ? "" : "only ", text->table->name);
}

static void append_parameter(struct text *text, uint32_t column, bool is_old) {
    text->parameters[text->count++] = (struct statement_parameter){.column = column, .is_old = is_old};
    buffer_printf(text->sql, "$%d", text->count);
}

/* ", " before each item of a list but the first. */
static void append_comma(struct text *text, bool *is_first) {
    statement_text_append(text, *is_first ? "" : ", ");
    *is_first = false;
}

static void append_key_match(struct text *text) {
    const char *glue = "";
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        const struct target_column *column = &text->table->columns[i];
        if (!column->is_key)
            continue;
        buffer_printf(text->sql, "%st.%s %s ", glue, column->name, column->equals);
        append_parameter(text, i, true);
        glue = " and ";
    }
}

/* A version that has ended, and a row that is marked as deleted, is not what the source changes. */
static void append_mode_match(struct text *text) {
    if (text->table->relation->mode == ROWS_HISTORY)
        statement_text_append(text, " and t." MODE_NAME_CURRENT);
    if (text->table->relation->mode == ROWS_SOFT_DELETE)
        statement_text_append(text, " and not t." MODE_NAME_DELETED);
}

static void append_match(struct text *text) {
    statement_text_append(text, " where ");
    if (text->table->has_key)
        append_key_match(text);
    else
        row_match_append(text->sql, text->table, text->nulls, text->parameters, &text->count);
    append_mode_match(text);
}

static void append_written_names(struct text *text, bool *is_first) {
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        if (!text->table->columns[i].is_written)
            continue;
        append_comma(text, is_first);
        statement_text_append(text, text->table->columns[i].name);
    }
}

/* A row that is marked as deleted, and has the key of a new one, becomes that one. */
static void append_revival(struct text *text) {
    const struct target_table *table = text->table;
    bool is_first = true;
    if (table->relation->mode != ROWS_SOFT_DELETE)
        return;
    statement_text_append(text, " on conflict (");
    for (uint32_t i = 0; i < table->key_count; i++)
        buffer_printf(text->sql, "%s%s", i > 0 ? ", " : "", table->columns[table->key_columns[i]].name);
    statement_text_append(text, ") do update set ");
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].is_written || table->columns[i].is_always)
            continue;
        append_comma(text, &is_first);
        buffer_printf(text->sql, "%s = excluded.%s", table->columns[i].name, table->columns[i].name);
    }
    statement_text_append(text, " where t." MODE_NAME_DELETED);
}

static void append_insert_names(struct text *text) {
    bool is_first = true;
    buffer_printf(text->sql, "insert into %s as t (", text->table->name);
    append_written_names(text, &is_first);
    statement_text_append(text, ") overriding system value ");
}

static void append_row_insert(struct text *text) {
    bool is_first = true;
    append_insert_names(text);
    statement_text_append(text, "values (");
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        if (!text->table->columns[i].is_written)
            continue;
        append_comma(text, &is_first);
        append_parameter(text, i, false);
    }
    statement_text_append(text, ")");
    append_revival(text);
}

static bool is_history(const struct text *text) {
    return text->table->relation->mode == ROWS_HISTORY;
}

/* The source's key, without what tells versions apart. */
static void append_source_key_match(struct text *text) {
    const char *glue = " where ";
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        const struct target_column *column = &text->table->columns[i];
        if (!column->is_key || column->is_of_mode)
            continue;
        buffer_printf(text->sql, "%st.%s %s ", glue, column->name, column->equals);
        append_parameter(text, i, true);
        glue = " and ";
    }
}

/* The row that has the unsent values: of a history the one that ends, see append_closed. */
static void append_filler(struct text *text) {
    if (is_history(text)) {
        statement_text_append(text, " from old");
        return;
    }
    statement_text_append(text, " from (select * from ");
    append_table(text);
    statement_text_append(text, " as t");
    append_source_key_match(text);
    statement_text_append(text, ") as old");
}

/* An insert whose unsent values are in another row. */
static void append_row_fill(struct text *text) {
    bool is_first = true;
    append_insert_names(text);
    statement_text_append(text, "select ");
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        if (!text->table->columns[i].is_written)
            continue;
        append_comma(text, &is_first);
        if (column_set_has(text->written, i))
            append_parameter(text, i, false);
        else
            buffer_printf(text->sql, "old.%s", text->table->columns[i].name);
    }
    append_filler(text);
    append_revival(text);
}

/* A table without columns can have rows, but SQL has no empty list of values. */
static void append_row_insert_default(struct text *text) {
    buffer_printf(text->sql, "insert into %s default values", text->table->name);
}

static bool writes_nothing(const struct target_table *table) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written)
            return false;
    return true;
}

/* An UPDATE that sets nothing still has to find its row. */
static void append_row_update(struct text *text) {
    bool is_first = true;
    statement_text_append(text, text->written->count > 0 ? "update " : "select from ");
    append_table(text);
    statement_text_append(text, text->written->count > 0 ? " as t set " : " as t");
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        if (!column_set_has(text->written, i))
            continue;
        append_comma(text, &is_first);
        buffer_printf(text->sql, "%s = ", text->table->columns[i].name);
        append_parameter(text, i, false);
    }
    append_match(text);
}

static void append_replaced(struct text *text) {
    statement_text_append(text, "old as (delete from ");
    append_table(text);
    statement_text_append(text, " as t");
    append_match(text);
    statement_text_append(text, " returning t.*)");
}

/* The version of the old key ends when the new one begins, and only it is indexed by its key. */
static void append_closed(struct text *text) {
    const struct relation *relation = text->table->relation;
    statement_text_append(text, "old as (update ");
    append_table(text);
    statement_text_append(text, " as t set " MODE_NAME_CURRENT " = false, " MODE_NAME_VALID_TO " = ");
    for (uint32_t i = 0; i < relation->column_count; i++)
        if (slice_equal(relation->columns[i].name, slice_of(MODE_NAME_VALID_FROM)))
            append_parameter(text, i, false);
    append_source_key_match(text);
    statement_text_append(text, " and t." MODE_NAME_CURRENT " returning t.*)");
}

/*
 * Columns that the change does not set, and columns that only the target has, keep the values of the deleted
 * row, "old".
 */
static void append_row_replace(struct text *text) {
    const struct target_table *table = text->table;
    bool is_first = true;
    buffer_printf(text->sql, "insert into %s (", table->name);
    append_written_names(text, &is_first);
    for (uint32_t i = 0; i < table->extra_count; i++)
        buffer_printf(text->sql, ", %s", table->extra[i]);
    statement_text_append(text, ") overriding system value select ");
    is_first = true;
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (!table->columns[i].is_written)
            continue;
        append_comma(text, &is_first);
        if (column_set_has(text->written, i))
            append_parameter(text, i, false);
        else
            buffer_printf(text->sql, "old.%s", table->columns[i].name);
    }
    for (uint32_t i = 0; i < table->extra_count; i++)
        buffer_printf(text->sql, ", old.%s", table->extra[i]);
    statement_text_append(text, " from old");
}

static void append_row_delete(struct text *text) {
    statement_text_append(text, "delete from ");
    append_table(text);
    statement_text_append(text, " as t");
    append_match(text);
}

/* A row whose writer is too old to be known is not found. */
static void append_row_origin(struct text *text) {
    statement_text_append(text, "select from ");
    append_table(text);
    statement_text_append(text, " as t");
    append_match(text);
    buffer_printf(text->sql, " and (pg_catalog.pg_xact_commit_timestamp_origin(t.xmin)).roident <> %u",
                  text->origin);
}

/*
 * "(select unnest($1) as c0, unnest($2) as c3) as u": one array for each column that is written or part of
 * the key. In a select list the rows go straight to the join; a function in FROM would first materialize all
 * of them, which takes a sixth of an update's time.
 */
static void append_unnest(struct text *text) {
    bool is_first = true;
    statement_text_append(text, "(select ");
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        if (!text->table->columns[i].is_key && !column_set_has(text->written, i))
            continue;
        append_comma(text, &is_first);
        statement_text_append(text, "unnest(");
        append_parameter(text, i, text->table->columns[i].is_key);
        buffer_printf(text->sql, ") as c%u", i);
    }
    statement_text_append(text, ") as u where ");
    const char *glue = "";
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        const struct target_column *column = &text->table->columns[i];
        if (!column->is_key)
            continue;
        buffer_printf(text->sql, "%st.%s %s u.c%u", glue, column->name, column->equals, i);
        glue = " and ";
    }
    append_mode_match(text);
}

static void append_set_update(struct text *text) {
    bool is_first = true;
    statement_text_append(text, "update ");
    append_table(text);
    statement_text_append(text, " as t set ");
    for (uint32_t i = 0; i < text->table->column_count; i++) {
        if (!column_set_has(text->written, i))
            continue;
        append_comma(text, &is_first);
        buffer_printf(text->sql, "%s = u.c%u", text->table->columns[i].name, i);
    }
    statement_text_append(text, " from ");
    append_unnest(text);
}

/* A key of one column needs no join: the index scan uses the whole array, sorted. */
static void append_set_delete(struct text *text) {
    const struct target_table *table = text->table;
    statement_text_append(text, "delete from ");
    append_table(text);
    if (table->key_count > 1) {
        statement_text_append(text, " as t using ");
        append_unnest(text);
        return;
    }
    const struct target_column *column = &table->columns[table->key_columns[0]];
    buffer_printf(text->sql, " as t where t.%s %s any (", column->name, column->equals);
    append_parameter(text, table->key_columns[0], true);
    statement_text_append(text, ")");
}

/* The part before the change itself. */
static void append_with(struct text *text, enum statement_kind kind) {
    const bool closes = kind == STATEMENT_ROW_FILL && is_history(text);
    const bool replaces = kind == STATEMENT_ROW_REPLACE || closes;
    statement_text_append(text, replaces || text->counts_one ? "with " : "");
    if (replaces)
        closes ? append_closed(text) : append_replaced(text);
    if (text->counts_one)
        statement_text_append(text, replaces ? ", done as (" : "done as (");
    else
        statement_text_append(text, replaces ? " " : "");
}

static void append_shape(struct text *text) {
    const struct target_table *table = text->table;
    const char *before = "select ";
    for (uint32_t i = 0; i < table->column_count; i++) {
        if (table->columns[i].is_left_out)
            continue;
        buffer_printf(text->sql, "%s%s", before, table->columns[i].name);
        before = ", ";
    }
    buffer_printf(text->sql, "%s from %s", before[0] == ',' ? "" : "select", table->name);
}

static void append_change(struct text *text, const struct statement_form *form) {
    switch (form->kind) {
    case STATEMENT_ROW_INSERT:
        writes_nothing(text->table) ? append_row_insert_default(text) : append_row_insert(text);
        break;
    case STATEMENT_ROW_FILL:
        append_row_fill(text);
        break;
    case STATEMENT_ROW_UPDATE:
        append_row_update(text);
        break;
    case STATEMENT_ROW_REPLACE:
        append_row_replace(text);
        break;
    case STATEMENT_ROW_DELETE:
        append_row_delete(text);
        break;
    case STATEMENT_ROW_ORIGIN:
        append_row_origin(text);
        break;
    case STATEMENT_SET_UPDATE:
        append_set_update(text);
        break;
    case STATEMENT_SET_DELETE:
        append_set_delete(text);
        break;
    case STATEMENT_IMAGE_UPDATE:
    case STATEMENT_IMAGE_DELETE:
        text->count = statement_image_text(text->sql, text->table, form, text->parameters);
        break;
    case STATEMENT_SHAPE:
        append_shape(text);
        break;
    }
}

static void append_count(struct text *text, enum statement_kind kind) {
    bool only_looks = kind == STATEMENT_ROW_UPDATE && text->written->count == 0;
    buffer_printf(text->sql, "%s) select " COUNTS_ONE " from done", only_looks ? "" : " returning 1");
}

int statement_text(struct buffer *sql, const struct target_table *table, const struct statement_form *form,
                   struct statement_parameter *parameters) {
    struct text text = {.sql = sql,
                        .table = table,
                        .written = form->written,
                        .nulls = form->nulls,
                        .counts_one = form->counts_one,
                        .origin = form->origin,
                        .parameters = parameters};
    append_with(&text, form->kind);
    append_change(&text, form);
    if (form->counts_one)
        append_count(&text, form->kind);
    return text.count;
}
