/* SPDX-License-Identifier: Apache-2.0 */
/*
 * schema_plan.c - drops, then new names, then types, then new columns: so that each finds its name free.
 */
#include "sinks/postgres/schema/schema_plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cdc/pq/identifier.h"
#include "decoder/builtin_type.h"
#include "sinks/postgres/catalog/type_shape.h"
#include "sinks/postgres/schema/type_widening.h"

#define PLAN_BYTES_MAX ((size_t) 8 << 20)

/* ---- the columns in the sink ---- */

static const struct column *column_in_sink(const struct schema_plan *plan, uint32_t i) {
    if (plan->in_sink == plan->relation)
        return &plan->relation->columns[i];
    for (uint32_t k = 0; k < plan->in_sink->column_count; k++)
        if (plan->in_sink->columns[k].source_place == i + 1)
            return &plan->in_sink->columns[k];
    return NULL;
}

const struct column *schema_plan_in_sink(const struct schema_plan *plan, uint32_t i) {
    return plan->ignores[i] ? NULL : column_in_sink(plan, i);
}

/* A rule gives the column its name in the sink, under whatever name the source has it. */
static struct slice name_in_sink(const struct schema_plan *plan, const struct known_column *column) {
    for (uint32_t i = 0; !column->is_kept && i < plan->relation->column_count; i++) {
        const struct column *in_sink = schema_plan_in_sink(plan, i);
        if (plan->numbers[i] == column->number && in_sink != NULL && in_sink->is_ruled)
            return in_sink->name;
    }
    return column->name;
}

/*
 * The row of the target's column that is this one, under the name that was known; -1: it is gone or renamed.
 */
static int find_known(const struct schema_plan *plan, const struct known_column *column) {
    const int row = plan_columns_find_number(plan->columns, column->target_number);
    const struct slice name = name_in_sink(plan, column);
    return row >= 0 && slice_equal(slice_of(PQgetvalue(plan->columns, row, PLAN_NAME)), name) ? row : -1;
}

/* ---- statements ---- */

static void begin_statement(struct schema_plan *plan) {
    buffer_append_text(&plan->sql, plan->sql.size > 0 ? "; " : "");
    buffer_printf(&plan->sql, "alter table %s ", plan->table);
}

static void begin_news(struct schema_plan *plan, const char *what, struct slice name) {
    buffer_printf(&plan->news, "table %s: %s column ", plan->table, what);
    identifier_append(&plan->news, name);
}

/* The first reason is told. */
static void plan_refuse(struct schema_plan *plan, struct slice column, const char *reason) {
    if (plan->refused != NULL)
        return;
    plan->refused = reason;
    snprintf(plan->column, sizeof plan->column, "%.*s", (int) column.size, column.data);
}

/* ---- the source's columns ---- */

const struct known_column *schema_plan_known(const struct known_table *known, uint32_t number) {
    for (uint32_t i = 0; known != NULL && i < known->column_count; i++)
        if (!known->columns[i].is_kept && known->columns[i].number == number)
            return &known->columns[i];
    return NULL;
}

static bool is_still_there(const struct schema_plan *plan, const struct known_column *column) {
    for (uint32_t i = 0; !column->is_kept && i < plan->relation->column_count; i++)
        if (plan->numbers[i] == column->number)
            return true;
    return false;
}

static bool has_name_now(const struct schema_plan *plan, struct slice name) {
    for (uint32_t i = 0; i < plan->in_sink->column_count; i++) {
        const uint32_t source_place = plan->in_sink->columns[i].source_place;
        const uint32_t place = plan->in_sink == plan->relation ? i + 1 : source_place;
        if (slice_equal(plan->in_sink->columns[i].name, name) && (place == 0 || !plan->ignores[place - 1]))
            return true;
    }
    return false;
}

/* ---- columns that are left out ---- */

/* The target's column of that name is one that an operator has made, and no other one of the source's. */
static bool is_made_there(const struct schema_plan *plan, struct slice name) {
    const int row = plan_columns_find_name(plan->columns, name);
    if (row < 0)
        return false;
    const uint32_t number = (uint32_t) strtoul(PQgetvalue(plan->columns, row, PLAN_NUMBER), NULL, 10);
    for (uint32_t i = 0; i < plan->known->column_count; i++)
        if (plan->known->columns[i].target_number == number)
            return false;
    return true;
}

static void ignore_new(struct schema_plan *plan, uint32_t i) {
    begin_news(plan, "leaves out", plan->relation->columns[i].name);
    buffer_append_text(&plan->news, ", which the source has added (add_column: ignore)\n");
    plan->ignores[i] = true;
}

/* Those that were left out before stay so, whatever the policy is now. */
static void plan_ignored(struct schema_plan *plan) {
    for (uint32_t i = 0; plan->known != NULL && i < plan->relation->column_count; i++) {
        const struct known_column *known = schema_plan_known(plan->known, plan->numbers[i]);
        const struct column *in_sink = column_in_sink(plan, i);
        if (in_sink == NULL || in_sink->is_ruled)
            continue;
        if (known != NULL)
            plan->ignores[i] = known->is_ignored;
        else if (plan->policy->actions[DDL_ADD_COLUMN] == DDL_IGNORE && !is_made_there(plan, in_sink->name))
            ignore_new(plan, i);
    }
}

/* ---- columns that are dropped ---- */

/* Rows are kept as they were, so what they have in the column stays. */
static bool keeps_rows(const struct schema_plan *plan) {
    return plan->in_sink->mode != ROWS_MERGED;
}

static void drop_column(struct schema_plan *plan, const struct known_column *column, int row) {
    begin_statement(plan);
    buffer_append_text(&plan->sql, "drop column ");
    identifier_append(&plan->sql, column->name);
    begin_news(plan, "dropped", column->name);
    buffer_append_u8(&plan->news, '\n');
    plan->leaves[row] = true;
    noted_names_change(&plan->noted, column->name, NULL);
}

static void append_rename(struct schema_plan *plan, struct slice from, struct slice to) {
    begin_statement(plan);
    buffer_append_text(&plan->sql, "rename column ");
    identifier_append(&plan->sql, from);
    buffer_append_text(&plan->sql, " to ");
    identifier_append(&plan->sql, to);
}

/* A new row has no value for it, so it must be NULL. */
static void free_column(struct schema_plan *plan, const struct known_column *column, int row) {
    static const struct {
        int field;
        const char *sql;
    } TIES[] = {{PLAN_IDENTITY, "drop identity"},
                {PLAN_HAS_DEFAULT, "drop default"},
                {PLAN_NOT_NULL, "drop not null"}};
    for (size_t i = 0; i < sizeof TIES / sizeof *TIES; i++) {
        if (!result_is_true(plan->columns, row, TIES[i].field))
            continue;
        begin_statement(plan);
        buffer_append_text(&plan->sql, "alter column ");
        identifier_append(&plan->sql, column->name);
        buffer_printf(&plan->sql, " %s", TIES[i].sql);
    }
}

static void keep_column(struct schema_plan *plan, const struct known_column *column, int row) {
    free_column(plan, column, row);
    begin_news(plan, "keeps", column->name);
    buffer_append_text(&plan->news, ", which the source has dropped\n");
}

/* A part of the old name, which ends with a whole character, and the number, which no other column has. */
static struct slice name_aside(char *text, size_t size, const struct known_column *column) {
    enum { PART_BYTES = 40 };
    size_t part = column->name.size < PART_BYTES ? column->name.size : PART_BYTES;
    while (part > 0 && part < column->name.size && ((unsigned char) column->name.data[part] & 0xc0) == 0x80)
        part--;
    snprintf(text, size, "%.*s_dropped_%u", (int) part, column->name.data, column->number);
    return slice_of(text);
}

/* Another column has its name now. */
static void keep_aside(struct schema_plan *plan, const struct known_column *column, int row) {
    char text[64];
    const struct slice name = name_aside(text, sizeof text, column);
    if (plan_columns_find_name(plan->columns, name) >= 0) {
        plan->lacks_name = plan->refused == NULL;
        plan_refuse(plan, name,
                    "is the name for a column that was dropped at the source, and another one has it");
    }
    free_column(plan, column, row);
    append_rename(plan, column->name, name);
    begin_news(plan, "keeps", column->name);
    buffer_append_text(&plan->news, ", which the source has dropped, as ");
    identifier_append(&plan->news, name);
    buffer_append_u8(&plan->news, '\n');
    plan->leaves[row] = true;
    noted_names_change(&plan->noted, column->name, &name);
}

static void plan_drops(struct schema_plan *plan) {
    for (uint32_t i = 0; plan->known != NULL && i < plan->known->column_count; i++) {
        const struct known_column *column = &plan->known->columns[i];
        const int row = find_known(plan, column);
        if (row < 0 || is_still_there(plan, column))
            continue;
        const bool is_in_the_way = has_name_now(plan, column->name);
        if (!is_in_the_way && column->is_kept)
            continue;
        if (plan->policy->actions[DDL_DROP_COLUMN] == DDL_STOP && !column->is_kept)
            plan_refuse(plan, column->name, "was dropped at the source, and drop_column is stop");
        const bool is_kept = plan->policy->actions[DDL_DROP_COLUMN] != DDL_APPLY &&
                             (column->is_kept || plan->policy->actions[DDL_DROP_COLUMN] == DDL_KEEP);
        if (is_in_the_way && is_kept && keeps_rows(plan))
            keep_aside(plan, column, row);
        else if (is_in_the_way || plan->policy->actions[DDL_DROP_COLUMN] != DDL_KEEP)
            drop_column(plan, column, row);
        else
            keep_column(plan, column, row);
    }
}

bool schema_plan_keeps(const struct schema_plan *plan, const struct known_column *column) {
    const int row = find_known(plan, column);
    return row >= 0 && !plan->leaves[row] && !is_still_there(plan, column);
}

/* ---- columns with another name ---- */

/* The row of the target's column that is to get the definition's name, or -1. */
static int row_to_rename(const struct schema_plan *plan, uint32_t i) {
    const struct known_column *column = schema_plan_known(plan->known, plan->numbers[i]);
    const struct column *in_sink = schema_plan_in_sink(plan, i);
    return column == NULL || in_sink == NULL || in_sink->is_ruled ||
                   slice_equal(column->name, plan->relation->columns[i].name)
               ? -1
               : find_known(plan, column);
}

/* Between two names that are exchanged; no number is that of another column. */
static struct slice passing_name(char *text, size_t size, uint32_t number) {
    snprintf(text, size, "_pgcdc_%u", number);
    return slice_of(text);
}

static void rename_column(struct schema_plan *plan, uint32_t i, int row, bool is_alone) {
    char text[32];
    const struct slice from = slice_of(PQgetvalue(plan->columns, row, PLAN_NAME));
    const struct slice to = plan->relation->columns[i].name;
    const int other = plan_columns_find_name(plan->columns, to);
    if (plan->policy->actions[DDL_RENAME_COLUMN] == DDL_STOP)
        plan_refuse(plan, from, "was renamed at the source, and rename_column is stop");
    if (other >= 0 && !plan->leaves[other])
        plan_refuse(plan, to, "is the new name of a column, and the target has another column of that name");
    append_rename(plan, from, is_alone ? to : passing_name(text, sizeof text, plan->numbers[i]));
    begin_news(plan, "renamed", from);
    buffer_append_text(&plan->news, " to ");
    identifier_append(&plan->news, to);
    buffer_append_u8(&plan->news, '\n');
    noted_names_change(&plan->noted, from, &to);
}

static void plan_renames(struct schema_plan *plan) {
    char text[32];
    uint32_t count = 0;
    for (uint32_t i = 0; i < plan->relation->column_count; i++) {
        const int row = row_to_rename(plan, i);
        if (row < 0)
            continue;
        plan->leaves[row] = true;
        count++;
    }
    for (uint32_t i = 0; i < plan->relation->column_count; i++) {
        const int row = row_to_rename(plan, i);
        if (row >= 0)
            rename_column(plan, i, row, count == 1);
    }
    for (uint32_t i = 0; count > 1 && i < plan->relation->column_count; i++)
        if (row_to_rename(plan, i) >= 0)
            append_rename(plan, passing_name(text, sizeof text, plan->numbers[i]),
                          plan->relation->columns[i].name);
}

static bool was_name_before(const struct schema_plan *plan, struct slice name) {
    for (uint32_t i = 0; i < plan->known->column_count; i++)
        if (!plan->known->columns[i].is_kept && slice_equal(plan->known->columns[i].name, name))
            return true;
    return false;
}

/*
 * A rule finds its columns by name. A name that another column has now would give the rule's values to that
 * one, and let those of the first pass as they are.
 */
static void check_rules(struct schema_plan *plan) {
    for (uint32_t i = 0; plan->known != NULL && i < plan->relation->column_count; i++) {
        const struct column *in_sink = schema_plan_in_sink(plan, i);
        const struct known_column *known = schema_plan_known(plan->known, plan->numbers[i]);
        const struct slice name = plan->relation->columns[i].name;
        if (plan->ignores[i] || (in_sink != NULL && !in_sink->is_ruled) ||
            (known != NULL && slice_equal(known->name, name)) ||
            (known == NULL && (in_sink == NULL || !was_name_before(plan, name))))
            continue;
        plan->lacks_rule = plan->refused == NULL;
        plan_refuse(plan, name,
                    "is another column at the source now, and a rule of the mapping is about its name");
    }
}

/* ---- columns with another type ---- */

/* NULL: it is not known, because the source's column has changed again. */
static const char *type_sql_of(const struct schema_plan *plan, uint32_t i) {
    const struct column *sent = &plan->relation->columns[i];
    const struct catalog_column *now = &plan->relation->catalog->columns[plan->numbers[i] - 1];
    return !now->is_dropped && now->type_oid == sent->type_oid && now->type_modifier == sent->type_modifier
               ? now->type_sql.data
               : NULL;
}

/* A built-in type without a modifier whose column the source has changed or dropped since. */
static const char *plain_type(const struct column *sent) {
    return sent->type_oid < BUILTIN_TYPE_FIXED_END && sent->type_modifier == -1 ? sent->type_name.data : NULL;
}

/* Of a type that has another OID on each server. */
static bool takes_user_type(const struct schema_plan *plan, uint32_t i, int row) {
    const struct slice name = slice_of(PQgetvalue(plan->columns, row, PLAN_NAME));
    const int shape = type_shapes_find(plan->shapes, 0, PQntuples(plan->shapes), name);
    const struct type_shape source = type_shape_of_column(&plan->relation->columns[i]);
    if (shape < 0 || plan->relation->columns[i].type_oid < BUILTIN_TYPE_FIXED_END)
        return false;
    const struct type_shape target = type_shape_of_row(plan->shapes, shape);
    return type_fits(&source, &target);
}

static struct type_and_modifier target_type(const struct schema_plan *plan, int row) {
    return (struct type_and_modifier){
        .oid = result_oid(plan->columns, row, PLAN_TYPE),
        .modifier = (int32_t) strtol(PQgetvalue(plan->columns, row, PLAN_MODIFIER), NULL, 10)};
}

/*
 * A change that leaves the values, and the target's type holds them; or an operator has changed it there
 * too.
 */
static bool is_type_there(const struct schema_plan *plan, uint32_t i, const struct known_column *column,
                          int row) {
    const struct type_and_modifier known = {column->type_oid, column->type_modifier};
    const struct type_and_modifier sent = {plan->relation->columns[i].type_oid,
                                           plan->relation->columns[i].type_modifier};
    const struct type_and_modifier target = target_type(plan, row);
    return (target.oid == sent.oid && target.modifier == sent.modifier) || takes_user_type(plan, i, row) ||
           ((type_widens(known, sent) || type_is_integer_pair(known, sent)) && type_widens(sent, target));
}

static void change_type(struct schema_plan *plan, uint32_t i, const struct known_column *column, int row) {
    const struct column *sent = &plan->relation->columns[i];
    const struct type_and_modifier known = {column->type_oid, column->type_modifier};
    const struct type_and_modifier wanted = {sent->type_oid, sent->type_modifier};
    const char *type = type_sql_of(plan, i);
    if (type == NULL)
        type = plain_type(sent);
    if (!type_widens(known, wanted) || !type_widens(target_type(plan, row), wanted) || type == NULL)
        plan_refuse(plan, sent->name,
                    "has another type at the source, and what it did with the values is not known");
    else if (plan->policy->actions[DDL_WIDEN_TYPE] == DDL_STOP)
        plan_refuse(plan, sent->name, "has a wider type at the source, and widen_type is stop");
    begin_statement(plan);
    buffer_append_text(&plan->sql, "alter column ");
    identifier_append(&plan->sql, schema_plan_in_sink(plan, i)->name);
    buffer_printf(&plan->sql, " type %s", type != NULL ? type : "... (the source's)");
    begin_news(plan, "widened", schema_plan_in_sink(plan, i)->name);
    buffer_printf(&plan->news, " to %s\n", type != NULL ? type : "?");
}

/* Otherwise a rule says the type, or its steps make text. */
static bool has_sent_type(const struct schema_plan *plan, uint32_t i) {
    const struct column *in_sink = schema_plan_in_sink(plan, i);
    return in_sink != NULL && !in_sink->is_cast && in_sink->type_oid == plan->relation->columns[i].type_oid;
}

static void plan_types(struct schema_plan *plan) {
    for (uint32_t i = 0; i < plan->relation->column_count; i++) {
        const struct column *sent = &plan->relation->columns[i];
        const struct known_column *column = schema_plan_known(plan->known, plan->numbers[i]);
        if (column == NULL || !has_sent_type(plan, i) ||
            (column->type_oid == sent->type_oid && column->type_modifier == sent->type_modifier))
            continue;
        const int row = plan_columns_find_number(plan->columns, column->target_number);
        if (row >= 0 && !is_type_there(plan, i, column, row))
            change_type(plan, i, column, row);
    }
}

/* ---- new columns ---- */

/* As the source's triggers have told it when the definition was sent; NULL: they have not. */
static const struct catalog_column *told_column(const struct schema_plan *plan, uint32_t i) {
    const struct catalog_table *then = plan->relation->catalog->then;
    const struct column *sent = &plan->relation->columns[i];
    if (then == NULL || plan->numbers[i] > then->column_count)
        return NULL;
    const struct catalog_column *told = &then->columns[plan->numbers[i] - 1];
    return !told->is_dropped && slice_equal(told->name, sent->name) && told->type_oid == sent->type_oid &&
                   told->type_modifier == sent->type_modifier
               ? told
               : NULL;
}

static void append_constant(struct schema_plan *plan, struct slice constant) {
    buffer_append_text(&plan->sql, " default ");
    literal_append(&plan->sql, constant);
}

/*
 * What rows have that are older than the column: a constant that the server notes; or NULL, if the files are
 * those from before; or else what only the source can tell.
 */
static void append_value(struct schema_plan *plan, uint32_t i) {
    const struct catalog_column *now = &plan->relation->catalog->columns[plan->numbers[i] - 1];
    const struct catalog_column *told = told_column(plan, i);
    if (told != NULL && told->missing.data != NULL) {
        append_constant(plan, told->missing);
        return;
    }
    if (now->is_dropped)
        return;
    if (now->missing.data != NULL) {
        append_constant(plan, now->missing);
    } else if (!catalog_storage_has_same_files(plan->known->storage, plan->relation->catalog->storage)) {
        plan->needs_copy = !keeps_rows(plan);
        if (plan->may_copy)
            return;
        plan->lacks_type |= keeps_rows(plan) && plan->refused == NULL;
        plan_refuse(
            plan, now->name,
            "was added at the source, which has written the whole table anew since, so only the source "
            "has the "
            "values of the earlier rows");
    }
}

static void add_column(struct schema_plan *plan, uint32_t i, const char *type) {
    const struct column *sent = &plan->relation->columns[i];
    const struct catalog_column *now = &plan->relation->catalog->columns[plan->numbers[i] - 1];
    if (plan->policy->actions[DDL_ADD_COLUMN] == DDL_STOP)
        plan_refuse(plan, sent->name, "was added at the source, and add_column is stop");
    begin_statement(plan);
    buffer_append_text(&plan->sql, "add column ");
    identifier_append(&plan->sql, sent->name);
    buffer_printf(&plan->sql, " %s", type);
    if (!now->is_dropped && now->collation_sql.size > 0)
        buffer_printf(&plan->sql, " collate %s", now->collation_sql.data);
    append_value(plan, i);
    begin_news(plan, "added", sent->name);
    buffer_printf(&plan->news, " %s\n", type);
}

/* The source may have changed it again. A type that holds all values of the one that was sent will do. */
static const char *type_of_new(const struct schema_plan *plan, uint32_t i) {
    const struct column *sent = &plan->relation->columns[i];
    const struct catalog_column *now = &plan->relation->catalog->columns[plan->numbers[i] - 1];
    const struct type_and_modifier of_sent = {sent->type_oid, sent->type_modifier};
    const struct type_and_modifier of_now = {now->type_oid, now->type_modifier};
    const struct catalog_column *told = told_column(plan, i);
    if (told != NULL && told->type_sql.data != NULL)
        return told->type_sql.data;
    if (!now->is_dropped && type_widens(of_sent, of_now))
        return now->type_sql.data;
    return plain_type(sent);
}

/* What a rule makes of the value of earlier rows is not known here. */
static void refuse_ruled(struct schema_plan *plan, uint32_t i, struct slice name) {
    const struct catalog_column *now = &plan->relation->catalog->columns[plan->numbers[i] - 1];
    const bool is_null =
        now->missing.data == NULL && !now->has_default &&
        catalog_storage_has_same_files(plan->known->storage, plan->relation->catalog->storage);
    const bool lacks_type = is_null || keeps_rows(plan);
    plan->lacks_type |= plan->refused == NULL && lacks_type;
    plan->needs_copy |= plan->refused == NULL && !lacks_type;
    plan_refuse(plan, name, "was added at the source, and a rule of the mapping makes its values");
}

static void plan_adds(struct schema_plan *plan) {
    for (uint32_t i = 0; plan->known != NULL && i < plan->relation->column_count; i++) {
        const struct column *sent = schema_plan_in_sink(plan, i);
        const int row = sent != NULL ? plan_columns_find_name(plan->columns, sent->name) : -1;
        if (sent == NULL || schema_plan_known(plan->known, plan->numbers[i]) != NULL ||
            (row >= 0 && !plan->leaves[row]))
            continue;
        if (sent->is_ruled) {
            refuse_ruled(plan, i, sent->name);
            continue;
        }
        const char *type = type_of_new(plan, i);
        if (type != NULL) {
            add_column(plan, i, type);
            continue;
        }
        plan->lacks_type = plan->refused == NULL;
        plan_refuse(plan, sent->name, "was added at the source, which has changed it again since");
    }
}

bool schema_plan_make(struct schema_plan *plan, struct error *err) {
    buffer_init(&plan->sql, PLAN_BYTES_MAX);
    buffer_init(&plan->news, PLAN_BYTES_MAX);
    noted_names_init(&plan->noted);
    plan->leaves = calloc((size_t) PQntuples(plan->columns) + 1, sizeof *plan->leaves);
    plan->ignores = calloc((size_t) plan->relation->column_count + 1, sizeof *plan->ignores);
    if (plan->leaves == NULL || plan->ignores == NULL)
        return error_no_memory(err);
    plan_ignored(plan);
    check_rules(plan);
    plan_drops(plan);
    plan_renames(plan);
    plan_types(plan);
    plan_adds(plan);
    if (plan->in_sink->mode == ROWS_APPENDED)
        noted_names_append(&plan->noted, plan->table, &plan->sql);
    return noted_names_ok(&plan->noted) && buffer_text(&plan->sql) != NULL && buffer_text(&plan->news) != NULL
               ? true
               : error_no_memory(err);
}

void schema_plan_release(struct schema_plan *plan) {
    buffer_release(&plan->sql);
    buffer_release(&plan->news);
    noted_names_release(&plan->noted);
    free(plan->leaves);
    free(plan->ignores);
}
