/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_shape.c - keys:
 *
 *     append       what tells sources apart (owned.h), _pgcdc_lsn, _pgcdc_index, _pgcdc_op: an update that
 *                  changes the key is two rows of one index, d and u
 *     soft_delete  the source's
 *     history      the source's, then _pgcdc_lsn, _pgcdc_index
 */
#include "sinks/mapping/mode_shape.h"

#include <string.h>

#include "sinks/mapping/owned.h"

/* ---- the rule ---- */

bool mode_shape_rule(struct rule *rule, struct arena *arena, struct error *err) {
    if (rule->mode == ROWS_MERGED)
        return true;
    struct column_rule *columns =
        arena_alloc_zero(arena, (rule->column_count + MODE_COLUMNS) * sizeof *columns);
    if (columns == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < rule->column_count; i++)
        columns[i] = rule->columns[i];
    for (size_t i = 0; i < MODE_COLUMNS; i++) {
        const struct mode_column_spec *spec = mode_column_spec((enum mode_column) i);
        if (row_mode_adds(rule->mode, (enum mode_column) i))
            columns[rule->column_count++] = (struct column_rule){.name = spec->name,
                                                                 .as = spec->name,
                                                                 .type = spec->type_sql,
                                                                 .source = COLUMN_OF_MODE,
                                                                 .mode_column = (enum mode_column) i};
    }
    rule->columns = columns;
    return true;
}

static bool is_of_mode(const struct table_map *map, uint32_t i, enum mode_column column) {
    const struct mapped_column *mapped = &map->columns[i];
    return mapped->from == COLUMN_ADDED && mapped->rule->source == COLUMN_OF_MODE &&
           mapped->rule->mode_column == column;
}

/* It tells the sources of one table apart. */
static bool is_owned(const struct table_map *map, uint32_t i) {
    return map->columns[i].from == COLUMN_ADDED && owned_is_in_key(map->rule, map->columns[i].rule);
}

/* A mode may get more columns, and each name stands for one thing in all tables of modes. */
static bool check_name(const struct table_map *map, uint32_t i, struct slice name, struct error *err) {
    const size_t size = sizeof MODE_NAME_PREFIX - 1;
    if ((map->columns[i].from == COLUMN_ADDED && map->columns[i].rule->source == COLUMN_OF_MODE) ||
        name.size < size || memcmp(name.data, MODE_NAME_PREFIX, size) != 0)
        return true;
    error_set(
        err, ERROR_CONFIG,
        "mapping: the rule for %s: column %s of table %s has a name that begins as those of the columns "
        "that modes add",
        map->rule->match, name.data, map->source_name);
    return error_remedy(err, "give it another name with `as` in the rule, or `drop` it there");
}

/* ---- rows that must be found ---- */

static bool refuse_keyless(const struct table_map *map, const char *problem, const char *remedy,
                           struct error *err) {
    error_set(err, ERROR_CONFIG, "mapping: the rule for %s: table %s cannot be kept in mode %s: %s",
              map->rule->match, map->source_name, row_mode_word(map->rule->mode), problem);
    return error_remedy(err, "%s; or use mode append, which needs no key", remedy);
}

static bool finds_rows(enum row_mode mode) {
    return mode == ROWS_SOFT_DELETE || mode == ROWS_HISTORY;
}

static bool refuse_identity(const struct table_map *map, struct error *err) {
    return refuse_keyless(map, "its replica identity at the source is not its primary key",
                          "alter the table there: replica identity default", err);
}

static bool check_table(const struct table_map *map, const struct table *source, struct error *err) {
    if (!finds_rows(map->rule->mode))
        return true;
    if (source->key_count == 0)
        return refuse_keyless(map, "it has no primary key", "give it a primary key at the source", err);
    if (source->key_is_deferrable)
        return refuse_keyless(map, "its primary key is deferrable, so two rows can have one key for a moment",
                              "make the key not deferrable at the source", err);
    return source->identity == REPLICA_IDENTITY_DEFAULT || refuse_identity(map, err);
}

/* ---- a relation of the stream ---- */

static void key_events(const struct table_map *map, struct relation *rows, struct column *columns) {
    rows->identity = REPLICA_IDENTITY_DEFAULT;
    rows->certainty = KEY_CERTAIN;
    rows->is_tree = rows->is_unclear = rows->needs_old = false;
    for (uint32_t i = 0; i < rows->column_count; i++)
        columns[i].is_key = is_owned(map, i) || is_of_mode(map, i, MODE_LSN) ||
                            is_of_mode(map, i, MODE_INDEX) || is_of_mode(map, i, MODE_OP);
}

static void key_versions(const struct table_map *map, struct relation *rows, struct column *columns) {
    for (uint32_t i = 0; i < rows->column_count; i++)
        columns[i].is_key |= is_of_mode(map, i, MODE_LSN) || is_of_mode(map, i, MODE_INDEX);
}

static bool copy_relation(const struct relation *relation, struct arena *arena, struct relation **ret_copy,
                          struct error *err) {
    struct relation *copy = arena_alloc(arena, sizeof *copy);
    struct column *columns = arena_alloc(arena, (relation->column_count + 1) * sizeof *columns);
    if (copy == NULL || columns == NULL)
        return error_no_memory(err);
    *copy = *relation;
    memcpy(columns, relation->columns, relation->column_count * sizeof *columns);
    copy->columns = columns;
    *ret_copy = copy;
    return true;
}

/* The key's columns in their order, then the two that are set. */
static bool make_closes(struct mode_shape *shape, struct arena *arena, struct error *err) {
    struct relation *closes = NULL;
    if (!copy_relation(shape->keyed, arena, &closes, err))
        return false;
    closes->column_count = 0;
    for (uint32_t i = 0; i < shape->keyed->column_count; i++)
        if (shape->keyed->columns[i].is_key || (int32_t) i == shape->at[MODE_VALID_TO] ||
            (int32_t) i == shape->at[MODE_CURRENT])
            closes->columns[closes->column_count++] = shape->keyed->columns[i];
    closes->mode = shape->mode;
    closes->mapped_from = shape->rows;
    shape->closes = closes;
    return true;
}

static bool make_fixed(const struct table_map *map, struct mode_shape *shape, struct arena *arena,
                       struct error *err) {
    shape->fixed = arena_alloc_zero(arena, (map->column_count + 1) * sizeof *shape->fixed);
    if (shape->fixed == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < map->column_count; i++) {
        const struct column_rule *rule = map->columns[i].rule;
        if (map->columns[i].from != COLUMN_ADDED)
            continue;
        if (rule->source == COLUMN_CONST || rule->source == COLUMN_TABLE)
            shape->fixed[i] = rule->source == COLUMN_CONST ? rule->text : map->source_name;
    }
    return true;
}

bool mode_shape_relation(const struct table_map *map, const struct relation *relation,
                         const struct relation *source, struct arena *arena, struct mode_shape *ret_shape,
                         struct error *err) {
    struct relation *rows = NULL;
    *ret_shape = (struct mode_shape){.keyed = relation, .rows = relation, .source_name = map->source_name};
    if (map->rule == NULL || map->rule->mode == ROWS_MERGED)
        return true;
    ret_shape->mode = map->rule->mode;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (!check_name(map, i, relation->columns[i].name, err))
            return false;
    if (finds_rows(map->rule->mode) &&
        (source->identity != REPLICA_IDENTITY_DEFAULT || source->key_count == 0))
        return refuse_identity(map, err);
    for (size_t k = 0; k < MODE_COLUMNS; k++)
        ret_shape->at[k] = -1;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (map->columns[i].from == COLUMN_ADDED && map->columns[i].rule->source == COLUMN_OF_MODE)
            ret_shape->at[map->columns[i].rule->mode_column] = (int32_t) i;
    if (!make_fixed(map, ret_shape, arena, err) || !copy_relation(relation, arena, &rows, err))
        return false;
    rows->mode = map->rule->mode;
    rows->mapped_from = source;
    if (rows->mode == ROWS_APPENDED)
        key_events(map, rows, rows->columns);
    if (rows->mode == ROWS_HISTORY)
        key_versions(map, rows, rows->columns);
    rows->key_count = 0;
    for (uint32_t i = 0; i < rows->column_count; i++)
        rows->key_count += rows->columns[i].is_key;
    ret_shape->rows = rows;
    return rows->mode != ROWS_HISTORY || make_closes(ret_shape, arena, err);
}

/* ---- a table of the catalog ---- */

/* The row of an event has what the event says, and no more. */
static void free_column(struct table_column *column) {
    column->key_index = 0;
    column->not_null = false;
    column->in_identity = false;
    column->generated = '\0';
    column->generated_sql = NULL;
}

static void add_to_key(struct table *table, uint32_t i) {
    table->columns[i].not_null = true;
    table->columns[i].key_index = ++table->key_count;
    table->columns[i].in_identity = true;
}

static void key_table(const struct table_map *map, struct table *table) {
    static const enum mode_column EVENT[] = {MODE_LSN, MODE_INDEX, MODE_OP};
    const size_t added = map->rule->mode == ROWS_APPENDED ? 3 : map->rule->mode == ROWS_HISTORY ? 2 : 0;
    for (uint32_t i = 0; i < table->column_count && map->rule->mode == ROWS_APPENDED; i++)
        if (is_owned(map, i))
            add_to_key(table, i);
    for (size_t k = 0; k < added; k++)
        for (uint32_t i = 0; i < table->column_count; i++)
            if (is_of_mode(map, i, EVENT[k]))
                add_to_key(table, i);
}

bool mode_shape_table(const struct table_map *map, const struct table *source, struct table *table,
                      struct error *err) {
    if (map->rule->mode == ROWS_MERGED)
        return true;
    if (!check_table(map, source, err))
        return false;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (!check_name(map, i, slice_of(table->columns[i].name), err))
            return false;
    table->mode = map->rule->mode;
    if (table->mode == ROWS_APPENDED) {
        table->key_count = 0;
        table->key_is_deferrable = false;
        table->identity = REPLICA_IDENTITY_DEFAULT;
        for (uint32_t i = 0; i < table->column_count; i++)
            free_column(&table->columns[i]);
    }
    for (uint32_t i = 0; i < table->column_count; i++)
        if (map->columns[i].from == COLUMN_ADDED && map->columns[i].rule->source == COLUMN_OF_MODE)
            table->columns[i].not_null = !mode_column_spec(map->columns[i].rule->mode_column)->is_nullable;
    key_table(map, table);
    return true;
}
