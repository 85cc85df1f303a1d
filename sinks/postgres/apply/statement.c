/* SPDX-License-Identifier: Apache-2.0 */
/*
 * statement.c - finds, prepares and executes.
 */
#include "sinks/postgres/apply/statement.h"

#include <assert.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "sinks/postgres/apply/statement_text.h"

/* A server session needs 12 KiB for an INSERT of four columns, 32 KiB for an UPDATE by a set. */
#define STATEMENTS_MAX 4000u
#define PARAMETERS_MAX 100000u /* of all of them; about a KiB each */
#define ARENA_BLOCK_BYTES (64u * 1024u)
#define ARENA_BYTES_MAX (64u * 1024u * 1024u)
#define SQL_BYTES_MAX (1024u * 1024u)
#define TEXT_BYTES_MAX (1u << 30) /* PostgreSQL's limit for a value, and for a message */

void statements_init(struct statements *statements) {
    *statements = (struct statements){.generation = 1, .count_max = STATEMENTS_MAX};
    arena_init(&statements->arena, ARENA_BLOCK_BYTES, ARENA_BYTES_MAX);
    buffer_init(&statements->sql, SQL_BYTES_MAX);
    buffer_init(&statements->texts, TEXT_BYTES_MAX);
}

void statements_release(struct statements *statements) {
    arena_release(&statements->arena);
    buffer_release(&statements->sql);
    buffer_release(&statements->texts);
    free(statements->values);
    free(statements->sizes);
    free(statements->formats);
    *statements = (struct statements){0};
}

void statements_forget(struct statements *statements) {
    arena_reset(&statements->arena);
    statements->must_drop |= statements->count > 0;
    statements->count = 0;
    statements->parameter_count = 0;
    statements->generation++;
}

static bool drop_forgotten(struct statements *statements, struct pq_pipeline *pipeline, struct error *err) {
    if (!statements->must_drop)
        return true;
    statements->must_drop = false;
    return pq_pipeline_drop_prepared(pipeline, err);
}

static const struct statement *find_prepared(const struct statements *statements,
                                             const struct target_table *table,
                                             const struct statement_form *form) {
    if (table->statements_generation != statements->generation)
        return NULL;
    for (const struct statement *statement = table->statements; statement != NULL;
         statement = statement->next)
        if (statement->kind == form->kind && statement->counts_one == form->counts_one &&
            statement->is_partial == form->is_partial && statement->nulls == form->nulls &&
            statement->mixed == form->mixed && column_set_equal(&statement->written, form->written))
            return statement;
    return NULL;
}

static bool grow_scratch(struct statements *statements, int count, struct error *err) {
    if (count <= statements->scratch_count)
        return true;
    const char **values = reallocarray(statements->values, (size_t) count, sizeof *values);
    if (values != NULL)
        statements->values = values;
    int *sizes = reallocarray(statements->sizes, (size_t) count, sizeof *sizes);
    if (sizes != NULL)
        statements->sizes = sizes;
    int *formats = reallocarray(statements->formats, (size_t) count, sizeof *formats);
    if (formats != NULL)
        statements->formats = formats;
    if (values == NULL || sizes == NULL || formats == NULL)
        return error_no_memory(err);
    statements->scratch_count = count;
    return true;
}

static bool is_set(enum statement_kind kind) {
    return kind == STATEMENT_SET_UPDATE || kind == STATEMENT_SET_DELETE || kind == STATEMENT_IMAGE_UPDATE ||
           kind == STATEMENT_IMAGE_DELETE;
}

static oid_t type_of(const struct target_table *table, const struct statement *statement, int parameter) {
    enum { INT4_ARRAY = 1007, BYTEA_ARRAY = 1001 };
    const struct statement_parameter *of = &statement->parameters[parameter];
    const struct target_column *column = &table->columns[of->column];
    if (of->kind != PARAMETER_VALUE)
        return of->kind == PARAMETER_WRITTEN ? BYTEA_ARRAY : INT4_ARRAY;
    return is_set(statement->kind) ? column->array_oid : column->type_oid;
}

/*
 * text, varchar, bpchar, json: their text can be sent as binary without a copy, however large; other text
 * parameters need a NUL.
 */
static void mark_one_form(const struct target_table *table, struct statement *statement) {
    for (int i = 0; i < statement->parameter_count; i++) {
        oid_t type = table->columns[statement->parameters[i].column].type_oid;
        statement->parameters[i].is_one_form = type == 25 || type == 1043 || type == 1042 || type == 114;
    }
}

static bool make_statement(struct statements *statements, struct target_table *table,
                           const struct statement_form *form, struct statement **ret_statement,
                           struct error *err) {
    struct statement *statement = arena_alloc_zero(&statements->arena, sizeof *statement);
    struct statement_parameter *parameters =
        arena_alloc(&statements->arena, 2 * ((size_t) table->column_count + 2) * sizeof *parameters);
    if (statement == NULL || parameters == NULL)
        return error_no_memory(err);
    statement->kind = form->kind;
    statement->written = *form->written;
    statement->nulls = form->nulls;
    statement->mixed = form->mixed;
    statement->is_partial = form->is_partial;
    statement->counts_one = form->counts_one;
    statement->parameters = parameters;
    snprintf(statement->name, sizeof statement->name, "pgcdc_%" PRIu64, ++statements->serial);
    buffer_reset(&statements->sql);
    statement->parameter_count = statement_text(&statements->sql, table, form, parameters);
    if (buffer_text(&statements->sql) == NULL)
        return error_no_memory(err);
    mark_one_form(table, statement);
    *ret_statement = statement;
    return grow_scratch(statements, statement->parameter_count, err);
}

static bool statement_prepare(struct statements *statements, struct pq_pipeline *pipeline,
                              struct target_table *table, const struct statement *statement,
                              struct error *err) {
    oid_t *types = arena_alloc(&statements->arena, ((size_t) statement->parameter_count + 1) * sizeof *types);
    if (types == NULL)
        return error_no_memory(err);
    for (int i = 0; i < statement->parameter_count; i++)
        types[i] = type_of(table, statement, i);
    return pq_pipeline_prepare(pipeline, statement->name, statements->sql.data, statement->parameter_count,
                               types, (struct pq_pipeline_note){.rows_expected = ROWS_ANY, .table = table},
                               err);
}

static void statement_keep(struct statements *statements, struct target_table *table,
                           struct statement *statement) {
    bool is_current = table->statements_generation == statements->generation;
    statement->next = is_current ? table->statements : NULL;
    table->statements = statement;
    table->statements_generation = statements->generation;
    statements->count++;
    statements->parameter_count += (uint64_t) statement->parameter_count;
}

bool statement_find(struct statements *statements, struct pq_pipeline *pipeline, struct target_table *table,
                    const struct statement_form *form, const struct statement **ret_statement,
                    struct error *err) {
    struct column_set none;
    struct statement_form whole = *form;
    if (whole.written == NULL) {
        column_set_init(&none, table->column_count);
        whole.written = &none;
    }
    *ret_statement = find_prepared(statements, table, &whole);
    if (*ret_statement != NULL)
        return true;
    if (statements->count >= statements->count_max || statements->parameter_count >= PARAMETERS_MAX)
        statements_forget(statements);
    struct statement *statement = NULL;
    if (!drop_forgotten(statements, pipeline, err) ||
        !make_statement(statements, table, &whole, &statement, err) ||
        !statement_prepare(statements, pipeline, table, statement, err))
        return false;
    statement_keep(statements, table, statement);
    *ret_statement = statement;
    return true;
}

void statements_widen(const struct statements *statements, const struct target_table *table,
                      struct column_set *written) {
    if (table->statements_generation != statements->generation)
        return;
    for (const struct statement *statement = table->statements; statement != NULL;
         statement = statement->next)
        if (statement->kind == STATEMENT_IMAGE_UPDATE) {
            column_set_unite(written, &statement->written);
            return;
        }
}

static const struct value *value_of(const struct statement_parameter *parameter,
                                    const struct value *old_values, const struct value *new_values) {
    const struct value *values = parameter->is_old ? old_values : new_values;
    assert(values != NULL);
    assert(values[parameter->column].kind != VALUE_UNCHANGED);
    return &values[parameter->column];
}

/* libpq requires a NUL after a text parameter, which the values of a change do not have. */
static bool needs_nul(const struct statement_parameter *parameter, const struct value *value) {
    return value->kind == VALUE_TEXT && !parameter->is_one_form;
}

static const char *keep_text(struct buffer *texts, const struct value *value) {
    const char *copy = texts->data + texts->size;
    buffer_append_slice(texts, value_slice(value));
    buffer_append_u8(texts, 0);
    return copy;
}

/* Reserves all memory at once, so that texts already stored do not move. */
static bool reserve_texts(struct statements *statements, const struct statement *statement,
                          const struct value *old_values, const struct value *new_values, struct error *err) {
    size_t bytes = 0;
    buffer_reset(&statements->texts);
    for (int i = 0; i < statement->parameter_count; i++) {
        const struct statement_parameter *parameter = &statement->parameters[i];
        const struct value *value = value_of(parameter, old_values, new_values);
        bytes += needs_nul(parameter, value) ? (size_t) value->size + 1 : 0;
    }
    return bytes == 0 || buffer_reserve(&statements->texts, bytes) ? true : error_no_memory(err);
}

static void set_parameter(struct statements *statements, int at, const struct statement_parameter *parameter,
                          const struct value *value) {
    bool is_text = needs_nul(parameter, value);
    statements->sizes[at] = (int) value->size;
    /*
     * The server looks up the input function of the format for a NULL too, and not every type has one for
     * binary.
     */
    statements->formats[at] = !is_text && value->kind != VALUE_NULL;
    if (value->kind == VALUE_NULL)
        statements->values[at] = NULL;
    else
        statements->values[at] = is_text ? keep_text(&statements->texts, value) : value->data;
}

bool statement_execute_row(struct statements *statements, struct pq_pipeline *pipeline,
                           const struct statement *statement, const struct value *old_values,
                           const struct value *new_values, struct pq_pipeline_note note, struct error *err) {
    assert(!is_set(statement->kind));
    if (!reserve_texts(statements, statement, old_values, new_values, err))
        return false;
    for (int i = 0; i < statement->parameter_count; i++)
        set_parameter(statements, i, &statement->parameters[i],
                      value_of(&statement->parameters[i], old_values, new_values));
    const struct pq_pipeline_parameters parameters = {
        .count = statement->parameter_count,
        .values = statements->values,
        .sizes = statements->sizes,
        .formats = statements->formats,
    };
    return pq_pipeline_execute(pipeline, statement->name, &parameters, note, err);
}
