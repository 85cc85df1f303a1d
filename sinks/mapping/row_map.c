/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_map.c - values that no step touches are passed on as they are.
 */
#include "sinks/mapping/row_map.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/pg_time_text.h"
#include "sinks/mapping/mode_values.h"
#include "sinks/mapping/owned.h"
#include "sinks/mapping/row_sql.h"
#include "sinks/mapping/step.h"

enum {
    BLOCK_BYTES = 64 * 1024,
    META_BYTES_MAX = 64,
    DAYS_OF_2000 = 10957,
    FRACTION_DIGITS = 6,
    TEXT_OID = 25
};

#define DEFINITIONS_BYTES_MAX ((size_t) 1 << 30)
#define ROWS_BYTES_MAX ((size_t) 4 << 30)

struct mapped_relation {
    struct table_map map;
    const struct relation *source;
    const struct relation *relation; /* mapped */
    struct mode_shape shape;         /* as the sink gets it */
    uint64_t wanted_of_key;          /* expressions that an old row has which is only a key */
    struct row_sql_list list;        /* changes of this span, for its expressions */
    uint64_t left_out[2];            /* of this span: changes, and rows of a copy */
};

void row_map_init(struct row_map *rows, const struct mapping *mapping, const char *sink,
                  struct evaluator *evaluator) {
    *rows = (struct row_map){.mapping = mapping, .sink = sink, .evaluator = evaluator};
    arena_init(&rows->definitions, BLOCK_BYTES, DEFINITIONS_BYTES_MAX);
    arena_init(&rows->defined, BLOCK_BYTES, DEFINITIONS_BYTES_MAX);
    arena_init(&rows->rows, BLOCK_BYTES, ROWS_BYTES_MAX);
}

void row_map_release(struct row_map *rows) {
    mode_rows_release(&rows->modes);
    map_release(&rows->relations);
    arena_release(&rows->definitions);
    arena_release(&rows->defined);
    arena_release(&rows->rows);
}

/* ---- relations ---- */

static void forget_relations(struct row_map *rows) {
    map_reset(&rows->relations);
    arena_reset(&rows->definitions);
    rows->has_read = false;
}

/*
 * Two tables of the source that became one would lose each other's rows by a TRUNCATE, and keys would meet.
 */
static bool check_name(const struct row_map *rows, const struct mapped_relation *mapped, struct error *err) {
    const struct relation *source = mapped->source;
    for (size_t i = 0; i < map_slots(&rows->relations); i++) {
        const struct mapped_relation *other = map_at(&rows->relations, i);
        if (other == NULL || other->source->oid == source->oid ||
            !slice_equal(other->relation->name, mapped->relation->name) ||
            !slice_equal(other->relation->schema, mapped->relation->schema))
            continue;
        if (slice_equal(other->source->name, source->name) &&
            slice_equal(other->source->schema, source->schema))
            continue; /* it was dropped, and made again */
        if (owned_apart(other->map.rule, other->map.source_name, mapped->map.rule, mapped->map.source_name))
            continue;
        return error_set(err, ERROR_CONFIG, "mapping: tables %s.%s and %s.%s would both be %s.%s in the sink",
                         other->source->schema.data, other->source->name.data, source->schema.data,
                         source->name.data, mapped->relation->schema.data, mapped->relation->name.data);
    }
    return true;
}

/* The condition, and the columns of the key. */
static uint64_t find_wanted_of_key(const struct mapped_relation *mapped) {
    const struct table_map *map = &mapped->map;
    uint64_t wanted = 0;
    if (map->expressions == NULL)
        return 0;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (map->columns[i].expression != 0 && mapped->relation->columns[i].is_key)
            wanted |= EXPRESSION_WANTED(map->columns[i].expression);
    return wanted | (map->expressions->where != NULL ? EXPRESSION_WANTED(0) : 0);
}

/*
 * What was written before the columns changed must pass by the rules of then, or the corrected ones meet
 * it. So the engine looks for the transaction.
 */
static bool blame_transaction(const struct change *change, struct error *err) {
    if (err->kind != ERROR_CONFIG || change->kind == CHANGE_READ || change->transaction == NULL)
        return false;
    err->kind = ERROR_DATA;
    return error_transaction(err, change->transaction->commit_lsn);
}

/* In arena. change: the first that has the relation. */
static bool make_mapped(struct row_map *rows, const struct relation *source, const struct change *change,
                        struct arena *arena, struct mapped_relation **ret_mapped, struct error *err) {
    struct mapped_relation *mapped = arena_alloc_zero(arena, sizeof *mapped);
    if (mapped == NULL)
        return error_no_memory(err);
    mapped->source = source;
    *ret_mapped = mapped;
    if (!table_map_relation(rows->mapping, rows->sink, source, arena, &mapped->map, &mapped->relation, err))
        return blame_transaction(change, err);
    if (!table_expressions_of_relation(rows->evaluator, source, &mapped->map, mapped->relation, err) ||
        !mode_shape_relation(&mapped->map, mapped->relation, source, arena, &mapped->shape, err))
        return false;
    mapped->wanted_of_key = find_wanted_of_key(mapped);
    if (rows->columns != NULL && !rule_columns_check(rows->columns, &mapped->map, source, change, err))
        return false;
    return check_name(rows, mapped, err);
}

static bool map_anew(struct row_map *rows, const struct relation *source, const struct change *change,
                     struct mapped_relation **ret_mapped, struct error *err) {
    return make_mapped(rows, source, change, &rows->definitions, ret_mapped, err) &&
           (map_put_number(&rows->relations, (uintptr_t) source, *ret_mapped) || error_no_memory(err));
}

static bool find_relation(struct row_map *rows, const struct relation *source, const struct change *change,
                          struct mapped_relation **ret_mapped, struct error *err) {
    *ret_mapped = map_find_number(&rows->relations, (uintptr_t) source);
    return *ret_mapped != NULL || map_anew(rows, source, change, ret_mapped, err);
}

static const struct mapped_relation *relation_of(const struct row_map *rows, oid_t oid) {
    const struct mapped_relation *found = NULL;
    for (size_t i = 0; i < map_slots(&rows->relations); i++) {
        const struct mapped_relation *mapped = map_at(&rows->relations, i);
        if (mapped != NULL && mapped->source->oid == oid && mapped->map.rule != NULL)
            found = mapped;
    }
    return found;
}

void row_map_name_source(const struct row_map *rows, struct sink_column *column) {
    const struct mapped_relation *mapped =
        column->relation_oid != 0 ? relation_of(rows, column->relation_oid) : NULL;
    for (uint32_t i = 0; mapped != NULL && i < mapped->map.column_count; i++)
        if (mapped->map.columns[i].from != COLUMN_ADDED &&
            strcmp(mapped->relation->columns[i].name.data, column->name) == 0) {
            snprintf(column->name, sizeof column->name, "%s",
                     mapped->source->columns[mapped->map.columns[i].from].name.data);
            return;
        }
}

static void name_in_sink(const struct row_map *rows, struct sink_column *column) {
    const struct mapped_relation *mapped = relation_of(rows, column->relation_oid);
    for (uint32_t i = 0; mapped != NULL && i < mapped->map.column_count; i++) {
        const int32_t from = mapped->map.columns[i].from;
        if (from == COLUMN_ADDED || strcmp(mapped->source->columns[from].name.data, column->name) != 0)
            continue;
        snprintf(column->name, sizeof column->name, "%s", mapped->relation->columns[i].name.data);
        return;
    }
}

bool row_map_name_sinks(struct row_map *rows, const struct sink_column *columns, size_t count,
                        const struct sink_column **ret_columns, struct error *err) {
    struct sink_column *named = arena_alloc(&rows->rows, (count + 1) * sizeof *named);
    if (named == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++) {
        named[i] = columns[i];
        name_in_sink(rows, &named[i]);
    }
    *ret_columns = named;
    return true;
}

/* ---- values ---- */

static const char *operation_of(const struct change *change) {
    switch (change->kind) {
    case CHANGE_INSERT:
        return "c";
    case CHANGE_UPDATE:
        return "u";
    case CHANGE_DELETE:
        return "d";
    default:
        return "r";
    }
}

void row_map_append_time(struct buffer *text, int64_t time_us) {
    int64_t days = time_us / MICROSECONDS_PER_DAY, rest = time_us % MICROSECONDS_PER_DAY;
    if (rest < 0) {
        days--;
        rest += MICROSECONDS_PER_DAY;
    }
    pg_time_append_datetime(text, days + DAYS_OF_2000, rest, FRACTION_DIGITS);
    buffer_append_text(text, "+00");
}

/* Appends nothing when a row has no such thing: a copied row belongs to no transaction. */
static void append_meta(enum column_source source, const struct change *change, struct buffer *text) {
    if (source == COLUMN_OPERATION)
        buffer_append_text(text, operation_of(change));
    if (change->kind == CHANGE_READ)
        return;
    if (source == COLUMN_COMMIT_LSN)
        buffer_append_text(text, lsn_format(change->transaction->commit_lsn).text);
    if (source == COLUMN_COMMIT_TIME)
        row_map_append_time(text, change->transaction->commit_time_us);
    if (source == COLUMN_XID)
        buffer_printf(text, "%" PRIu32, change->transaction->xid);
    if (source == COLUMN_INDEX)
        buffer_printf(text, "%" PRIu64, change->index);
}

static bool make_added(const struct table_map *map, const struct column_rule *rule,
                       const struct change *change, struct arena *arena, struct value *ret_value,
                       struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = META_BYTES_MAX};
    const char *given = rule->source == COLUMN_CONST ? rule->text : map->source_name;
    *ret_value = (struct value){.kind = VALUE_NULL};
    if (rule->source == COLUMN_OF_MODE) /* of a streamed row: by mode_rows.c */
        return change->kind != CHANGE_READ ||
               mode_values_copied(map, rule->mode_column, change->index, arena, ret_value, err);
    if (rule->source != COLUMN_CONST && rule->source != COLUMN_TABLE) {
        append_meta(rule->source, change, &text);
        if (text.size == 0)
            return true;
        given = arena_copy(arena, buffer_slice(&text));
    }
    if (given == NULL || !buffer_ok(&text))
        return error_no_memory(err);
    *ret_value = (struct value){.data = given, .size = (uint32_t) strlen(given), .kind = VALUE_TEXT};
    return true;
}

static bool refuse_binary(const struct table_map *map, const struct column *source, struct error *err) {
    return error_set(err, ERROR_NEEDS_TEXT,
                     "mapping: column %s of %s has steps, which need its value as text", source->name.data,
                     map->source_name);
}

static bool run_steps(const struct table_map *map, const struct column_rule *rule,
                      const struct column *source, const struct value *value, struct arena *arena,
                      struct value *ret_value, struct error *err) {
    struct slice text = {0};
    if (value->kind == VALUE_BINARY && !table_map_is_text(source->type_oid))
        return refuse_binary(map, source, err);
    if (value->kind != VALUE_NULL)
        text = (struct slice){.data = value->data != NULL ? value->data : "", .size = value->size};
    if (!steps_run(rule->steps, rule->step_count, text, arena, &text, err))
        return error_wrap(err, "mapping: column %s of %s", source->name.data, map->source_name);
    *ret_value = (struct value){.data = text.data, .size = (uint32_t) text.size};
    ret_value->kind = text.data == NULL             ? VALUE_NULL
                      : value->kind == VALUE_BINARY ? VALUE_BINARY
                                                    : VALUE_TEXT;
    return true;
}

bool row_map_value(const struct table_map *map, uint32_t column, const struct column *source,
                   const struct value *values, const struct change *change, struct arena *arena,
                   struct value *ret_value, struct error *err) {
    const struct mapped_column *mapped = &map->columns[column];
    const bool is_computed = mapped->expression != 0;
    if (mapped->from == COLUMN_ADDED && !is_computed)
        return make_added(map, mapped->rule, change, arena, ret_value, err);
    const struct value *value =
        &values[is_computed ? map->source_count + mapped->expression - 1 : (uint32_t) mapped->from];
    const struct column computed = {.name = slice_of(is_computed ? mapped->rule->name : ""),
                                    .type_oid = TEXT_OID};
    *ret_value = *value;
    if (mapped->rule == NULL || mapped->rule->step_count == 0 || ret_value->kind == VALUE_UNCHANGED)
        return true;
    return run_steps(map, mapped->rule, is_computed ? &computed : &source[mapped->from], value, arena,
                     ret_value, err);
}

/*
 * Has the old row a value that is known? What is about the change that wrote it is not: null differs from
 * the new value, so an update writes that.
 */
static bool knows_old(const struct mapped_relation *mapped, uint32_t column, enum old_kind old_kind) {
    const struct mapped_column *of_map = &mapped->map.columns[column];
    if (of_map->from == COLUMN_ADDED && column_source_is_of_change(of_map->rule->source))
        return false;
    return old_kind == OLD_FULL || mapped->relation->columns[column].is_key;
}

/* is_old: of the row before the change. */
static bool map_values(struct row_map *rows, const struct mapped_relation *mapped,
                       const struct change *change, const struct value *values, bool is_old,
                       const struct value **ret_values, struct error *err) {
    const struct table_map *map = &mapped->map;
    *ret_values = NULL;
    if (values == NULL)
        return true;
    struct value *made = arena_alloc_zero(&rows->rows, (map->column_count + 1) * sizeof *made);
    if (made == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < map->column_count; i++) {
        made[i].kind = VALUE_NULL;
        if (is_old && !knows_old(mapped, i, change->old_kind))
            continue;
        if (!row_map_value(map, i, mapped->source->columns, values, change, &rows->rows, &made[i], err))
            return false;
    }
    *ret_values = made;
    return true;
}

/* ---- changes ---- */

/* A change on its way: what its table's expressions make of it, if the table has any. */
struct passage {
    struct mapped_relation *mapped; /* of a row */
    struct row_sql *sql;
};

static bool map_row(struct row_map *rows, const struct passage *passage, struct change *change,
                    struct error *err) {
    const struct mapped_relation *mapped = passage->mapped;
    const struct change source = *change;
    const struct value *old_values = source.old_values, *new_values = source.new_values;
    if (passage->sql != NULL) {
        old_values = passage->sql->old.values;
        if (!row_sql_new(passage->sql, &mapped->map, row_sql_fate(passage->sql, &mapped->map), &new_values,
                         err))
            return false;
    }
    change->relation = mapped->relation;
    return mapped->map.rule == NULL || mapped->map.keeps_rows ||
           (map_values(rows, mapped, &source, old_values, true, &change->old_values, err) &&
            map_values(rows, mapped, &source, new_values, false, &change->new_values, err));
}

static void take_fate(struct change *change, enum row_fate fate) {
    if (fate == ROW_ENTERS) {
        change->kind = CHANGE_INSERT;
        change->old_kind = OLD_NONE;
        change->old_values = NULL;
    }
    if (fate == ROW_LEAVES) {
        change->kind = CHANGE_DELETE;
        change->new_values = NULL;
    }
}

static bool map_truncate(struct row_map *rows, const struct change *change, struct error *err) {
    const struct mode_shape **shapes =
        arena_alloc(&rows->rows, (change->relation_count + 1) * sizeof(*shapes));
    if (shapes == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < change->relation_count; i++) {
        struct mapped_relation *mapped = NULL;
        if (!find_relation(rows, change->relations[i], change, &mapped, err))
            return false;
        shapes[i] = &mapped->shape;
    }
    return mode_rows_truncate(&rows->modes, shapes, change, err);
}

/* Finds the maps, and computes the expressions of all rows of a table together. */
static bool prepare_rows(struct row_map *rows, const struct sink_span *span, struct passage *passages,
                         struct error *err) {
    for (size_t i = 0; i < span->count; i++) {
        const struct change *change = &span->changes[i];
        struct mapped_relation *mapped = NULL;
        if (!change_is_row(change))
            continue;
        if (!find_relation(rows, change->relation, change, &mapped, err))
            return false;
        passages[i].mapped = mapped;
        rows->has_read = rows->has_read || change->kind == CHANGE_READ;
        if (mapped->map.expressions != NULL &&
            !row_sql_add(&mapped->list, &mapped->map, change, mapped->wanted_of_key, &rows->rows,
                         &passages[i].sql, err))
            return false;
    }
    for (size_t i = 0; i < map_slots(&rows->relations); i++) {
        struct mapped_relation *mapped = map_at(&rows->relations, i);
        if (mapped != NULL && mapped->list.count > 0 &&
            !row_sql_run(&mapped->list, rows->evaluator, &mapped->map, &rows->rows, err))
            return false;
    }
    return true;
}

static enum row_fate fate_of(const struct passage *passage) {
    return passage->sql != NULL ? row_sql_fate(passage->sql, &passage->mapped->map) : ROW_PASSES;
}

static bool map_change(struct row_map *rows, const struct passage *passage, const struct change *change,
                       enum row_fate fate, struct error *err) {
    struct change mapped = *change;
    if (change->kind == CHANGE_TRUNCATE)
        return map_truncate(rows, change, err);
    if (passage->mapped != NULL && !map_row(rows, passage, &mapped, err))
        return false;
    take_fate(&mapped, fate);
    return mode_rows_add(&rows->modes, passage->mapped != NULL ? &passage->mapped->shape : NULL, &mapped,
                         err);
}

static void count_left_out(struct row_map *rows, struct mapped_relation *mapped,
                           const struct change *change) {
    rows->left_out++;
    mapped->left_out[change->kind == CHANGE_READ]++;
}

/* By rule and table. */
static bool post_left_out(struct row_map *rows, struct error *err) {
    for (size_t i = 0; rows->left_out > 0 && i < map_slots(&rows->relations); i++) {
        struct mapped_relation *mapped = map_at(&rows->relations, i);
        if (mapped == NULL || mapped->left_out[0] + mapped->left_out[1] == 0)
            continue;
        if (rows->left_out_by_rule != NULL &&
            !left_out_add(rows->left_out_by_rule, mapped->map.rule->match, mapped->map.source_name,
                          mapped->left_out[0], mapped->left_out[1], err))
            return false;
        mapped->left_out[0] = mapped->left_out[1] = 0;
    }
    return true;
}

bool row_map_span(struct row_map *rows, const struct sink_span *span, struct sink_span *ret_span,
                  struct error *err) {
    arena_reset(&rows->rows);
    if (rows->has_read)
        forget_relations(rows);
    struct passage *passages = arena_alloc_zero(&rows->rows, (span->count + 1) * sizeof *passages);
    if (passages == NULL)
        return error_no_memory(err);
    *ret_span = *span;
    ret_span->present = rows->left_out = 0;
    if (!mode_rows_begin(&rows->modes, span->changes, span->count, &rows->rows, err) ||
        !prepare_rows(rows, span, passages, err))
        return false;
    for (size_t i = 0; i < span->count; i++) {
        const enum row_fate fate = fate_of(&passages[i]);
        if (fate == ROW_IS_OUT) {
            if (i >= span->present)
                count_left_out(rows, passages[i].mapped, &span->changes[i]);
            continue;
        }
        if (!map_change(rows, &passages[i], &span->changes[i], fate, err))
            return false;
        ret_span->present += i < span->present;
    }
    mode_rows_flush(&rows->modes);
    ret_span->changes = rows->modes.changes;
    ret_span->count = rows->modes.count;
    return post_left_out(rows, err);
}

bool row_map_define(struct row_map *rows, const struct relation *source, const struct relation **ret_relation,
                    struct error *err) {
    const struct change none = {.kind = CHANGE_READ, .relation = source};
    struct mapped_relation *mapped = NULL;
    arena_reset(&rows->defined);
    if (!make_mapped(rows, source, &none, &rows->defined, &mapped, err))
        return false;
    *ret_relation = mapped->shape.mode == ROWS_MERGED ? mapped->relation : mapped->shape.rows;
    return true;
}
