/* SPDX-License-Identifier: Apache-2.0 */
/*
 * compared_table.c - lays out the columns.
 */
#include "sinks/postgres/verify/compared_table.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "sinks/mapping/mask.h"
#include "sinks/mapping/step.h"
#include "sinks/postgres/schema/ignored_columns.h"

#define TEXT_BYTES_MAX (1 << 20)

static const char *keep_text(struct buffer *text, struct arena *arena) {
    return buffer_ok(text) ? arena_copy(arena, buffer_slice(text)) : NULL;
}

static const char *quoted_name(const char *name, struct arena *arena) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    identifier_append(&sql, slice_of(name));
    return keep_text(&sql, arena);
}

static const char *quoted_text(const char *text, struct arena *arena) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    literal_append(&sql, slice_of(text));
    buffer_append_text(&sql, "::text");
    return keep_text(&sql, arena);
}

static bool add_as_it_is(struct compared_table *compared, const struct table_column *column,
                         struct arena *arena) {
    struct compared_column *added = &compared->columns[compared->count++];
    *added = (struct compared_column){.column = column,
                                      .source_sql = quoted_name(column->name, arena),
                                      .source_type_sql = column->type_sql};
    if (column->key_index == 1)
        compared->divider = column;
    return added->source_sql != NULL;
}

static bool lay_unmapped(struct compared_table *compared, struct arena *arena) {
    for (uint32_t i = 0; i < compared->source->column_count; i++)
        if (!add_as_it_is(compared, &compared->source->columns[i], arena))
            return false;
    return true;
}

/* ---- with a rule ---- */

static bool add_constant(struct compared_table *compared, const struct table_column *column,
                         const struct column_rule *rule, struct arena *arena) {
    const char *constant = rule->source == COLUMN_CONST ? rule->text : compared->map.source_name;
    const char *sql = quoted_text(constant, arena);
    compared->columns[compared->count++] = (struct compared_column){.column = column,
                                                                    .source_sql = sql,
                                                                    .source_type_sql = "text",
                                                                    .constant = constant,
                                                                    .is_made = true};
    return sql != NULL;
}

/* It has a value only once the rows are mapped. */
static bool add_computed(struct compared_table *compared, const struct table_column *column) {
    compared->columns[compared->count++] = (struct compared_column){
        .column = column, .source_sql = "null", .source_type_sql = "text", .is_made = true};
    compared->needs_rows = true;
    return true;
}

static bool add_mapped(struct compared_table *compared, uint32_t i, struct arena *arena) {
    const struct mapped_column *mapped = &compared->map.columns[i];
    struct table_column *column = &compared->table.columns[i];
    if (mapped->expression != 0)
        return add_computed(compared, column);
    if (mapped->from == COLUMN_ADDED)
        return add_constant(compared, column, mapped->rule, arena);
    const struct table_column *source = &compared->source->columns[mapped->from];
    const bool has_steps = mapped_column_is_made(mapped);
    const char *sql = quoted_name(source->name, arena);
    compared->columns[compared->count++] = (struct compared_column){
        .column = column,
        .source_sql = sql,
        .source_type_sql = source->type_sql,
        .is_made = has_steps || (mapped->rule != NULL && mapped->rule->type != NULL),
    };
    compared->needs_rows |= has_steps;
    if (source->key_index == 1 && !has_steps)
        compared->divider = column;
    return sql != NULL;
}

/* What is about a change is in no row of the source. */
static void leave_out_changes(struct compared_table *compared, struct buffer *names) {
    for (uint32_t i = 0; i < compared->map.column_count; i++)
        if (mapped_column_is_of_change(&compared->map.columns[i]))
            compared->table.columns[i].published = false;
    table_map_name_changes(&compared->map, names);
}

static bool is_dropped(const struct rule *rule, const char *name) {
    for (size_t i = 0; i < rule->column_count; i++)
        if (rule->columns[i].drops && strcmp(rule->columns[i].name, name) == 0)
            return true;
    return false;
}

static bool lay_mapped(struct compared_table *compared, struct arena *arena) {
    for (uint32_t i = 0; i < compared->map.column_count; i++)
        if (compared->table.columns[i].published && !add_mapped(compared, i, arena))
            return false;
    for (uint32_t i = 0; i < compared->source->column_count; i++) {
        const struct table_column *column = &compared->source->columns[i];
        if (!column->published && !compared->is_log && !is_dropped(compared->map.rule, column->name) &&
            !add_as_it_is(compared, column, arena))
            return false;
    }
    return true;
}

/* ---- events ---- */

static bool refuse_log(const struct compared_table *compared, const struct sink_config *config,
                       struct error *err) {
    error_set(
        err, ERROR_CONFIG,
        "table %s.%s is kept in mode append in sink %s, and its events do not say which row was updated "
        "or deleted: a column of the key is not in the sink, or a rule can make two keys equal",
        compared->source->schema, compared->source->name, config->name);
    return error_remedy(err, "name the tables that are to be compared with --table");
}

static bool tells_rows_apart(const struct compared_table *compared, uint32_t i) {
    const struct column_rule *rule = compared->map.columns[i].rule;
    bool has_digits = false;
    if (rule == NULL)
        return true;
    for (size_t k = 0; k < rule->step_count; k++)
        has_digits |= rule->steps[k].kind == STEP_DIGITS;
    return steps_uniqueness(rule) < UNIQUENESS_LOST && !(has_digits && rule->type != NULL);
}

/* By what the source finds a row. */
static bool finds_rows(const struct table *source, const struct table_column *column) {
    return source->identity == REPLICA_IDENTITY_INDEX ? column->in_identity : column->key_index > 0;
}

/* Of the sink's columns, those that identify the row of an event. *ret_whole: they are the whole key. */
static void mark_key(struct compared_table *compared, bool *ret_whole) {
    const struct table *source = compared->source;
    uint32_t wanted = 0, count = 0;
    for (uint32_t i = 0; i < source->column_count; i++)
        wanted += finds_rows(source, &source->columns[i]);
    for (uint32_t i = 0; i < compared->map.column_count; i++) {
        const int32_t from = compared->map.columns[i].from;
        struct table_column *column = &compared->table.columns[i];
        column->in_identity = false;
        column->key_index = 0;
        if (from != COLUMN_ADDED && finds_rows(source, &source->columns[from]) &&
            tells_rows_apart(compared, i))
            column->key_index = ++count;
    }
    *ret_whole = count > 0 && count == wanted;
}

/* Without a key an event must have the whole row, or be the only one of it. */
static bool lay_log(struct compared_table *compared, const struct sink_config *config, struct error *err) {
    const struct table *source = compared->source;
    const bool has_deletions = source->identity == REPLICA_IDENTITY_INDEX ||
                               (source->identity == REPLICA_IDENTITY_DEFAULT && source->key_count > 0);
    mark_key(compared, &compared->log_is_keyed);
    if (!compared->log_is_keyed && has_deletions)
        return refuse_log(compared, config, err);
    for (uint32_t i = 0; i < compared->map.column_count && !compared->log_is_keyed; i++)
        compared->table.columns[i].key_index = 0;
    compared->is_log = true;
    return true;
}

/* ---- what changes values ---- */

/* What a key makes of a text that is no value tells keys apart, and nothing else. */
static bool append_key(const struct mask_key *key, struct arena *arena, struct buffer *text,
                       struct error *err) {
    struct slice mark = {0};
    if (!mask_hash(key, slice_of("pgcdc verify"), 0, arena, &mark, err))
        return false;
    buffer_append_text(text, " ");
    buffer_append_slice(text, mark);
    return true;
}

static bool append_steps(const struct column_rule *rule, struct arena *arena, struct buffer *text,
                         struct error *err) {
    for (size_t i = 0; i < rule->step_count; i++) {
        const struct step *step = &rule->steps[i];
        buffer_printf(text, "|%s %s %u %u %u", step_name(step->kind), step->text != NULL ? step->text : "",
                      step->number, step->first, step->last);
        if (step->key != NULL && !append_key(step->key, arena, text, err))
            return false;
    }
    return true;
}

static bool describe_steps(struct compared_table *compared, struct arena *arena, struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    if (compared->map.rule->where != NULL)
        buffer_printf(&text, "where %s;", compared->map.rule->where);
    for (uint32_t i = 0; i < compared->map.column_count; i++) {
        const struct mapped_column *mapped = &compared->map.columns[i];
        buffer_printf(&text, "%s=%d", compared->table.columns[i].name, (int) mapped->from);
        if (mapped->expression != 0)
            buffer_printf(&text, "|sql %s", mapped->rule->sql);
        if (mapped->rule != NULL && !append_steps(mapped->rule, arena, &text, err))
            return false;
        buffer_append_text(&text, ";");
    }
    compared->steps = keep_text(&text, arena);
    return compared->steps != NULL || error_no_memory(err);
}

/* ---- the table ---- */

static bool map_columns(struct compared_table *compared, struct arena *arena, struct error *err) {
    struct buffer names AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    compared->needs_rows = compared->map.rule->where != NULL;
    leave_out_changes(compared, &names);
    if (names.size > 0)
        compared->about_changes = keep_text(&names, arena);
    if ((names.size > 0 && compared->about_changes == NULL) || !lay_mapped(compared, arena))
        return error_no_memory(err);
    return describe_steps(compared, arena, err);
}

static bool map_table(struct compared_table *compared, const struct sink_config *config, struct arena *arena,
                      struct error *err) {
    static const struct mapping NONE = {0};
    return table_map_table(config->mapping != NULL ? config->mapping : &NONE, config->name, compared->source,
                           arena, &compared->map, &compared->table, err);
}

/* The source's table, with the columns of these numbers left to the sink. */
static struct table *leave_out(const struct compared_table *compared, const PGresult *ignored,
                               struct arena *arena) {
    struct table *copy = arena_alloc(arena, sizeof *copy);
    struct table_column *columns = arena_alloc(arena, (compared->source->column_count + 1) * sizeof *columns);
    if (copy == NULL || columns == NULL)
        return NULL;
    *copy = *compared->source;
    copy->columns = columns;
    for (uint32_t i = 0; i < copy->column_count; i++)
        columns[i] = compared->source->columns[i];
    for (uint32_t k = 0; k < compared->table.column_count; k++)
        for (uint32_t i = 0; i < copy->column_count; i++)
            columns[i].left_to_sink |= columns[i].number == compared->table.columns[k].number &&
                                       ignored_columns_has(ignored, &compared->table.columns[k]);
    return copy;
}

static bool take_ignored(struct compared_table *compared, const struct sink_config *config,
                         struct session *target, struct arena *arena, struct error *err) {
    PGresult *ignored AUTO_PGRESULT = NULL;
    if (!ignored_columns_read(target, config, &compared->table, &ignored, err))
        return false;
    if (PQntuples(ignored) == 0)
        return true;
    compared->source = leave_out(compared, ignored, arena);
    return compared->source != NULL ? map_table(compared, config, arena, err) : error_no_memory(err);
}

bool compared_table_make(struct compared_table *compared, const struct sink_config *config,
                         const struct table *source, struct session *target, struct arena *arena,
                         struct error *err) {
    *compared = (struct compared_table){.source = source};
    if (!map_table(compared, config, arena, err) || !take_ignored(compared, config, target, arena, err))
        return false;
    if (compared->table.mode == ROWS_APPENDED && !lay_log(compared, config, err))
        return false;
    const size_t most = source->column_count + compared->map.column_count;
    compared->columns = arena_alloc_zero(arena, (most + 1) * sizeof *compared->columns);
    if (compared->columns == NULL)
        return error_no_memory(err);
    if (compared->map.rule == NULL)
        return lay_unmapped(compared, arena) || error_no_memory(err);
    if (!map_columns(compared, arena, err))
        return false;
    if (compared->is_log)
        compared->divider = NULL; /* a row's events may be in several ranges */
    return true;
}
