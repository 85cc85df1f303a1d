/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_sql.c - rows before and after a change, and what must be known of them.
 *
 * An update may leave out a large value that it did not change. The old row has it if the replica identity
 * is full, or if it is part of the key. Otherwise a column of which no input was sent stays as it is in the
 * sink, and one of which some were sent cannot be computed: the pipeline stops.
 */
#include "sinks/mapping/row_sql.h"

#include <string.h>

uint64_t row_sql_wanted(const struct table_expressions *expressions) {
    uint64_t wanted = expressions->where != NULL ? EXPRESSION_WANTED(0) : 0;
    for (size_t k = 0; k < expressions->count; k++)
        wanted |= EXPRESSION_WANTED(k + 1);
    return wanted;
}

/* ---- rows ---- */

static bool needs_text(const struct table_map *map, const struct change *change, const struct value *values,
                       struct error *err) {
    const struct table_expressions *expressions = map->expressions;
    for (uint32_t k = 0; k < expressions->input_count; k++) {
        const struct column *column = &change->relation->columns[expressions->inputs[k]];
        if (values[expressions->inputs[k]].kind == VALUE_BINARY && !table_map_is_text(column->type_oid))
            return error_set(err, ERROR_NEEDS_TEXT, "mapping: sql needs column %s of %s as text",
                             column->name.data, map->source_name);
    }
    return true;
}

static bool copy_values(const struct table_map *map, const struct value *values, struct arena *arena,
                        struct evaluator_row *row, struct value **ret_values, struct error *err) {
    struct value *copy =
        arena_alloc_zero(arena, (map->source_count + map->expressions->count + 1) * sizeof *copy);
    if (copy == NULL)
        return error_no_memory(err);
    memcpy(copy, values, map->source_count * sizeof *copy);
    row->values = copy;
    row->results = copy + map->source_count;
    for (size_t k = 0; k < map->expressions->count; k++)
        row->results[k] = (struct value){.kind = VALUE_NULL};
    *ret_values = copy;
    return true;
}

static bool old_has(const struct change *change, uint32_t column) {
    return change->old_values != NULL &&
           (change->old_kind == OLD_FULL ||
            (change->old_kind == OLD_KEY && change->relation->columns[column].is_key)) &&
           change->old_values[column].kind != VALUE_UNCHANGED;
}

static void fill_unsent(const struct table_map *map, const struct change *change, struct value *values) {
    for (uint32_t i = 0; i < map->source_count; i++)
        if (values[i].kind == VALUE_UNCHANGED && old_has(change, i))
            values[i] = change->old_values[i];
}

static bool lacks_input(const struct expression *expression, const struct table_map *map,
                        const struct value *values, bool *ret_lacks_all) {
    bool lacks = false;
    *ret_lacks_all = true;
    for (uint32_t i = 0; i < map->source_count; i++) {
        const bool is_unsent = values[i].kind == VALUE_UNCHANGED;
        lacks = lacks || (expression->uses[i] && is_unsent);
        *ret_lacks_all = *ret_lacks_all && (!expression->uses[i] || is_unsent);
    }
    return lacks;
}

static bool refuse_unsent(const struct table_map *map, const char *what, struct error *err) {
    error_set(err, ERROR_DATA,
              "mapping: the rule for %s: an update of table %s did not send a large value that it left "
              "unchanged, and %s",
              map->rule->match, map->source_name, what);
    return error_remedy(err,
                        "alter table %s replica identity full at the source, so that later changes send it; "
                        "this one can be skipped (pgcdc skip), and the table copied again",
                        map->source_name);
}

/* Which expressions can be computed of the new row. */
static bool judge_new(struct row_sql *row, const struct table_map *map, struct error *err) {
    const struct table_expressions *expressions = map->expressions;
    bool lacks_all = false;
    row->new.wanted = row_sql_wanted(expressions);
    if (expressions->where != NULL && lacks_input(expressions->where, map, row->new_values, &lacks_all))
        return refuse_unsent(map, "where needs it", err);
    for (size_t k = 0; k < expressions->count; k++) {
        if (!lacks_input(&expressions->items[k], map, row->new_values, &lacks_all))
            continue;
        row->new.wanted &= ~EXPRESSION_WANTED(k + 1);
        *(lacks_all ? &row->unchanged : &row->mixed) |= EXPRESSION_WANTED(k + 1);
    }
    return true;
}

static bool take_new(struct row_sql *row, const struct table_map *map, struct arena *arena,
                     struct error *err) {
    const struct change *change = row->change;
    if (change->new_values == NULL)
        return true;
    if (!needs_text(map, change, change->new_values, err) ||
        !copy_values(map, change->new_values, arena, &row->new, &row->new_values, err))
        return false;
    fill_unsent(map, change, row->new_values);
    return judge_new(row, map, err);
}

static bool take_old(struct row_sql *row, const struct table_map *map, uint64_t wanted_of_key,
                     struct arena *arena, struct error *err) {
    const struct change *change = row->change;
    struct value *values = NULL;
    if (change->old_values == NULL)
        return true;
    if (!needs_text(map, change, change->old_values, err) ||
        !copy_values(map, change->old_values, arena, &row->old, &values, err))
        return false;
    row->old.wanted = change->old_kind == OLD_FULL ? row_sql_wanted(map->expressions) : wanted_of_key;
    return true;
}

static bool refuse_keyless(const struct table_map *map, struct error *err) {
    error_set(err, ERROR_DATA,
              "mapping: the rule for %s: where, for table %s: a row without a replica identity was changed",
              map->rule->match, map->source_name);
    return error_remedy(err, "give the table a primary key, or set replica identity full");
}

bool row_sql_add(struct row_sql_list *list, const struct table_map *map, const struct change *change,
                 uint64_t wanted_of_key, struct arena *arena, struct row_sql **ret_row, struct error *err) {
    struct row_sql *row = arena_alloc_zero(arena, sizeof *row);
    if (row == NULL)
        return error_no_memory(err);
    row->change = change;
    if (map->expressions->where != NULL && change->relation->key_count == 0 &&
        (change->kind == CHANGE_UPDATE || change->kind == CHANGE_DELETE))
        return refuse_keyless(map, err);
    if (!take_old(row, map, wanted_of_key, arena, err) || !take_new(row, map, arena, err))
        return false;
    *(list->last != NULL ? &list->last->next : &list->first) = row;
    list->last = row;
    list->count++;
    *ret_row = row;
    return true;
}

/* ---- evaluation ---- */

/* Which of its expressions fails on the row? Each alone. */
static const char *find_culprit(struct evaluator *evaluator, const struct table_map *map,
                                struct evaluator_row *row, struct arena *arena) {
    const uint64_t wanted = row->wanted;
    const char *culprit = NULL;
    for (uint32_t i = 0; i <= map->expressions->count && culprit == NULL; i++) {
        struct error alone = {0};
        size_t ignored = 0;
        row->wanted = wanted & EXPRESSION_WANTED(i);
        if (row->wanted == 0 || evaluator_run(evaluator, map->expressions, &row, 1, arena, &ignored, &alone))
            continue;
        culprit = "where";
        for (uint32_t k = 0; i > 0 && k < map->column_count; k++)
            if (map->columns[k].expression == i)
                culprit = map->columns[k].rule->name;
    }
    row->wanted = wanted;
    return culprit != NULL ? culprit : "where or sql";
}

static bool explain_row(struct evaluator *evaluator, const struct table_map *map, struct evaluator_row *row,
                        struct arena *arena, struct error *err) {
    if (err->kind != ERROR_DATA)
        return error_wrap(err, "mapping: the expressions of table %s", map->source_name);
    const char *culprit = find_culprit(evaluator, map, row, arena);
    const bool is_where = strcmp(culprit, "where") == 0;
    const char *key = map->expressions->key_names;
    error_wrap(err, "mapping: the rule for %s: %s%s fails on a row of table %s%s%s%s", map->rule->match,
               is_where ? "" : "sql of column ", culprit, map->source_name, key[0] != '\0' ? " (key " : "",
               key, key[0] != '\0' ? ")" : "");
    return error_remedy(err, "write the expression so that it has a value for each row (nullif, case when), "
                             "or correct the row at the source and skip this transaction (pgcdc skip)");
}

bool row_sql_run_rows(struct evaluator *evaluator, const struct table_map *map,
                      struct evaluator_row *const *rows, size_t count, struct arena *arena,
                      struct error *err) {
    size_t failed = 0;
    return evaluator_run(evaluator, map->expressions, rows, count, arena, &failed, err) ||
           explain_row(evaluator, map, rows[failed], arena, err);
}

bool row_sql_run(struct row_sql_list *list, struct evaluator *evaluator, const struct table_map *map,
                 struct arena *arena, struct error *err) {
    struct evaluator_row **rows = arena_alloc(arena, (2 * list->count + 1) * sizeof(struct evaluator_row *));
    size_t count = 0;
    if (rows == NULL)
        return error_no_memory(err);
    for (struct row_sql *row = list->first; row != NULL; row = row->next) {
        if (row->old.values != NULL && row->old.wanted != 0)
            rows[count++] = &row->old;
        if (row->new.values != NULL)
            rows[count++] = &row->new;
    }
    *list = (struct row_sql_list){0};
    return row_sql_run_rows(evaluator, map, rows, count, arena, err);
}

/* ---- results ---- */

/* Without an old row the key is the same, and the condition uses nothing else. */
enum row_fate row_sql_fate(const struct row_sql *row, const struct table_map *map) {
    if (map->expressions->where == NULL)
        return ROW_PASSES;
    if (row->change->kind == CHANGE_DELETE)
        return row->old.passes ? ROW_PASSES : ROW_IS_OUT;
    const bool is_update = row->change->kind == CHANGE_UPDATE;
    const bool was_in = is_update && row->old.values != NULL ? row->old.passes : row->new.passes;
    if (row->new.passes)
        return was_in ? ROW_PASSES : ROW_ENTERS;
    return was_in && is_update ? ROW_LEAVES : ROW_IS_OUT;
}

static bool check_whole(const struct row_sql *row, const struct table_map *map, struct error *err) {
    for (uint32_t i = 0; i < map->source_count; i++)
        if (row->new_values[i].kind == VALUE_UNCHANGED)
            return refuse_unsent(map, "its row enters the sink, which has not got it", err);
    return true;
}

bool row_sql_new(struct row_sql *row, const struct table_map *map, enum row_fate fate,
                 const struct value **ret_values, struct error *err) {
    *ret_values = row->new_values;
    if (row->new_values == NULL)
        return true;
    if (fate == ROW_ENTERS)
        return check_whole(row, map, err);
    if (row->mixed != 0)
        return refuse_unsent(map, "sql needs it together with others", err);
    for (uint32_t i = 0; i < map->source_count; i++)
        if (row->change->new_values[i].kind == VALUE_UNCHANGED)
            row->new_values[i] = row->change->new_values[i];
    for (size_t k = 0; k < map->expressions->count; k++)
        if ((row->unchanged & EXPRESSION_WANTED(k + 1)) != 0)
            row->new.results[k] = (struct value){.kind = VALUE_UNCHANGED};
    return true;
}
