/* SPDX-License-Identifier: Apache-2.0 */
/*
 * table_map.c - lays the columns of a rule over those of a table.
 */
#include "sinks/mapping/table_map.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "sinks/mapping/mode_shape.h"
#include "sinks/mapping/owned.h"
#include "sinks/mapping/policy_shape.h"
#include "sinks/mapping/step.h"
#include "sinks/mapping/table_expressions.h"

enum { NAMES_BYTES_MAX = 1024 };

/* ---- from names to columns ---- */

/* The columns of a table, whatever it was read from. */
struct source_columns {
    const char *schema;
    const char *table;
    uint32_t count;
    const char *const *names;
    const bool *is_key;
    const bool *is_text;
    const bool *is_sent;
};

static const struct column_rule *find_rule(const struct rule *rule, const char *column) {
    for (size_t i = 0; i < rule->column_count; i++)
        if ((rule->columns[i].source == COLUMN_VALUE || rule->columns[i].source == COLUMN_SQL) &&
            strcmp(rule->columns[i].name, column) == 0)
            return &rule->columns[i];
    return NULL;
}

static bool has_column(const struct source_columns *source, const char *name) {
    for (uint32_t i = 0; i < source->count; i++)
        if (source->is_sent[i] && strcmp(source->names[i], name) == 0)
            return true;
    return false;
}

static bool refuse_column(const struct rule *rule, const struct source_columns *source, const char *column,
                          const char *problem, struct error *err) {
    return error_set(err, ERROR_CONFIG, "mapping: the rule for %s: column %s of table %s.%s %s", rule->match,
                     column, source->schema, source->table, problem);
}

/* A rule that masks a column which has another name now would let its values pass. */
static bool check_names(const struct rule *rule, const struct source_columns *source, struct error *err) {
    for (size_t i = 0; i < rule->column_count; i++)
        if (rule->columns[i].source == COLUMN_VALUE && !has_column(source, rule->columns[i].name)) {
            refuse_column(rule, source, rule->columns[i].name, "does not exist, or is generated and not sent",
                          err);
            return error_remedy(err, "correct the name in the rule, or give tables without the column a rule "
                                     "of their own before it");
        }
    return true;
}

enum uniqueness steps_uniqueness(const struct column_rule *column) {
    enum uniqueness least = column->sql != NULL ? UNIQUENESS_LOST : UNIQUENESS_PRESERVED;
    for (size_t i = 0; i < column->step_count; i++)
        if (step_uniqueness(&column->steps[i]) > least)
            least = step_uniqueness(&column->steps[i]);
    return least;
}

/* A column of numbers loses the zeros at the start of what the digits become. */
static bool loses_zeros(const struct column_rule *column, bool is_text) {
    bool has_digits = false;
    for (size_t i = 0; i < column->step_count; i++)
        has_digits = has_digits || column->steps[i].kind == STEP_DIGITS;
    return has_digits && !is_text;
}

static bool check_key(const struct rule *rule, const struct source_columns *source,
                      const struct column_rule *column, bool is_text, struct error *err) {
    if (rule->mode == ROWS_APPENDED)
        return true; /* rows are not found by it */
    if (column->drops)
        return refuse_column(rule, source, column->name, "is part of the key, and cannot be dropped", err);
    if (column->accepts_loss || (steps_uniqueness(column) < UNIQUENESS_LOST && !loses_zeros(column, is_text)))
        return true;
    refuse_column(rule, source, column->name,
                  column->sql != NULL ? "is part of the key, and its sql can make two keys equal"
                                      : "is part of the key, and its steps can make two keys equal",
                  err);
    return error_remedy(err, "mask it with hash or digits, which keep keys apart, or say accept_loss: true");
}

static const char *name_at_sink(const struct source_columns *source, const struct mapped_column *column) {
    if (column->rule != NULL)
        return column->rule->as;
    return source->names[column->from];
}

static bool check_distinct(const struct rule *rule, const struct source_columns *source,
                           const struct table_map *map, struct error *err) {
    for (uint32_t i = 0; i < map->column_count; i++)
        for (uint32_t j = 0; j < i; j++)
            if (strcmp(name_at_sink(source, &map->columns[i]), name_at_sink(source, &map->columns[j])) == 0)
                return refuse_column(rule, source, name_at_sink(source, &map->columns[i]),
                                     "would exist twice in the sink", err);
    return true;
}

static const struct mapped_column *find_column(const struct source_columns *source,
                                               const struct table_map *map, const char *name) {
    for (uint32_t i = 0; i < map->column_count; i++)
        if (strcmp(name_at_sink(source, &map->columns[i]), name) == 0)
            return &map->columns[i];
    return NULL;
}

static bool is_listed(const struct rule *rule, const char *name) {
    bool is_there = false;
    for (size_t i = 0; i < rule->key_count; i++)
        is_there = is_there || strcmp(rule->key[i], name) == 0;
    return is_there;
}

/* A row is found by the source's key, so all of it, and of the added columns those with one value. */
static bool check_listed_key(const struct rule *rule, const struct source_columns *source,
                             const struct table_map *map, struct error *err) {
    for (size_t i = 0; i < rule->key_count; i++) {
        const struct mapped_column *column = find_column(source, map, rule->key[i]);
        if (column == NULL)
            return refuse_column(rule, source, rule->key[i],
                                 "is in the list key, and the sink gets no column of this name", err);
        if (column->from == COLUMN_ADDED ? !owned_is_in_key(rule, column->rule)
                                         : !source->is_key[column->from])
            return refuse_column(rule, source, rule->key[i],
                                 "is in the list key, but a row is not found by it: it is neither of the "
                                 "source's key nor const or meta: table",
                                 err);
    }
    for (uint32_t i = 0; rule->key != NULL && i < map->column_count; i++) {
        const struct mapped_column *column = &map->columns[i];
        if (column->from != COLUMN_ADDED && source->is_key[column->from] &&
            !is_listed(rule, name_at_sink(source, column)))
            return refuse_column(rule, source, name_at_sink(source, column),
                                 "is part of the key, and is not in the list key", err);
    }
    return true;
}

static bool is_added(const struct source_columns *source, const struct column_rule *column) {
    return column->source != COLUMN_VALUE &&
           (column->source != COLUMN_SQL || !has_column(source, column->name));
}

static void number_expressions(struct table_map *map) {
    uint32_t count = 0;
    map->keeps_rows = map->keeps_rows && map->rule->where == NULL;
    for (uint32_t i = 0; i < map->column_count; i++) {
        const struct column_rule *rule = map->columns[i].rule;
        map->columns[i].expression = rule != NULL && rule->sql != NULL ? ++count : 0;
        map->keeps_rows = map->keeps_rows && !mapped_column_is_made(&map->columns[i]);
    }
}

static bool lay_columns(const struct rule *rule, const struct source_columns *source, struct table_map *map,
                        struct error *err) {
    for (uint32_t i = 0; i < source->count; i++) {
        const struct column_rule *column = find_rule(rule, source->names[i]);
        if (column != NULL && source->is_key[i] && !check_key(rule, source, column, source->is_text[i], err))
            return false;
        if (column != NULL && column->drops) {
            map->keeps_rows = false;
            continue;
        }
        map->columns[map->column_count++] = (struct mapped_column){.from = (int32_t) i, .rule = column};
    }
    for (size_t i = 0; i < rule->column_count; i++)
        if (is_added(source, &rule->columns[i]))
            map->columns[map->column_count++] =
                (struct mapped_column){.from = COLUMN_ADDED, .rule = &rule->columns[i]};
    number_expressions(map);
    return true;
}

static bool join_names(const struct source_columns *source, struct arena *arena, const char **ret_name) {
    struct buffer name AUTO(buffer_release) = {.bytes_max = NAMES_BYTES_MAX};
    buffer_printf(&name, "%s.%s", source->schema, source->table);
    *ret_name = buffer_ok(&name) ? arena_copy(arena, buffer_slice(&name)) : NULL;
    return *ret_name != NULL;
}

static bool make_map(const struct mapping *mapping, const char *sink, const struct source_columns *source,
                     struct arena *arena, struct table_map *map, struct error *err) {
    *map = (struct table_map){.name = {.schema = source->schema, .table = source->table},
                              .source_count = source->count,
                              .keeps_rows = true};
    if (!rule_find(mapping, sink, source->schema, source->table, &map->rule, err))
        return false;
    if (map->rule == NULL)
        return true;
    map->columns =
        arena_alloc_zero(arena, (source->count + map->rule->column_count + 1) * sizeof *map->columns);
    if (map->columns == NULL || !join_names(source, arena, &map->source_name))
        return error_no_memory(err);
    return rule_name(map->rule, source->schema, source->table, arena, &map->name, err) &&
           check_names(map->rule, source, err) && lay_columns(map->rule, source, map, err) &&
           check_distinct(map->rule, source, map, err) && check_listed_key(map->rule, source, map, err) &&
           owned_sql(map->rule, map->source_name, arena, &map->owned_sql, err);
}

/* ---- a relation of the stream ---- */

/* With identity full every column is marked, and none of them alone is a key. */
static bool relation_columns(const struct relation *relation, struct arena *arena,
                             struct source_columns *ret_source, struct error *err) {
    const char **names = arena_alloc(arena, (relation->column_count + 1) * sizeof *names);
    bool *is_key = arena_alloc(arena, relation->column_count + 1);
    bool *is_text = arena_alloc(arena, relation->column_count + 1);
    bool *is_sent = arena_alloc(arena, relation->column_count + 1);
    if (names == NULL || is_key == NULL || is_text == NULL || is_sent == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < relation->column_count; i++) {
        names[i] = relation->columns[i].name.data;
        is_key[i] = relation->columns[i].is_key && relation->identity != REPLICA_IDENTITY_FULL;
        is_text[i] = table_map_is_text(relation->columns[i].type_oid);
        is_sent[i] = true;
    }
    *ret_source = (struct source_columns){.schema = relation->schema.data,
                                          .table = relation->name.data,
                                          .count = relation->column_count,
                                          .names = names,
                                          .is_key = is_key,
                                          .is_text = is_text,
                                          .is_sent = is_sent};
    return true;
}

static const struct column ADDED_TEXT = {
    .type_oid = 25, .type_modifier = -1, .type_schema = {"pg_catalog", 10}, .type_name = {"text", 4}};

/* A step makes text of every value. */
static struct column map_column(const struct relation *relation, const struct rule *rule,
                                const struct mapped_column *column) {
    if (column->from == COLUMN_ADDED) {
        struct column added = ADDED_TEXT;
        added.name = slice_of(column->rule->as);
        added.is_key = owned_is_in_key(rule, column->rule) && relation->key_count > 0;
        if (column->rule->source == COLUMN_OF_MODE) {
            const struct mode_column_spec *spec = mode_column_spec(column->rule->mode_column);
            added.type_oid = spec->type_oid;
            added.type_name = slice_of(spec->type_name);
        } else {
            added.is_cast = column->rule->type != NULL;
        }
        return added;
    }
    struct column mapped = relation->columns[column->from];
    mapped.source_place = (uint32_t) column->from + 1;
    mapped.is_ruled = column->rule != NULL;
    if (column->rule == NULL)
        return mapped;
    if (mapped_column_is_made(column) && !table_map_is_text(mapped.type_oid)) {
        mapped.type_oid = ADDED_TEXT.type_oid;
        mapped.type_modifier = ADDED_TEXT.type_modifier;
        mapped.type_schema = ADDED_TEXT.type_schema;
        mapped.type_name = ADDED_TEXT.type_name;
    }
    mapped.name = slice_of(column->rule->as);
    mapped.is_cast = column->rule->type != NULL;
    return mapped;
}

static bool map_relation(const struct relation *relation, const struct table_map *map, struct arena *arena,
                         const struct relation **ret_relation, struct error *err) {
    struct relation *mapped = arena_alloc(arena, sizeof *mapped);
    struct column *columns = arena_alloc(arena, (map->column_count + 1) * sizeof *columns);
    if (mapped == NULL || columns == NULL)
        return error_no_memory(err);
    *mapped = *relation;
    mapped->mapped_from = relation;
    mapped->catalog = NULL; /* of the source's columns */
    mapped->schema = slice_of(map->name.schema);
    mapped->name = slice_of(map->name.table);
    mapped->columns = columns;
    mapped->column_count = map->column_count;
    mapped->owned_sql = map->owned_sql;
    mapped->policy = map->rule->policy;
    mapped->key_count = 0;
    for (uint32_t i = 0; i < map->column_count; i++) {
        columns[i] = map_column(relation, map->rule, &map->columns[i]);
        mapped->key_count += columns[i].is_key;
    }
    *ret_relation = mapped;
    return true;
}

bool table_map_relation(const struct mapping *mapping, const char *sink, const struct relation *relation,
                        struct arena *arena, struct table_map *ret_map, const struct relation **ret_relation,
                        struct error *err) {
    struct source_columns source = {0};
    *ret_relation = relation;
    return relation_columns(relation, arena, &source, err) &&
           make_map(mapping, sink, &source, arena, ret_map, err) &&
           (ret_map->rule == NULL || map_relation(relation, ret_map, arena, ret_relation, err));
}

/* ---- a table of the catalog ---- */

static bool table_columns(const struct table *table, struct arena *arena, struct source_columns *ret_source,
                          struct error *err) {
    const char **names = arena_alloc(arena, (table->column_count + 1) * sizeof *names);
    bool *is_key = arena_alloc(arena, table->column_count + 1);
    bool *is_text = arena_alloc(arena, table->column_count + 1);
    bool *is_sent = arena_alloc(arena, table->column_count + 1);
    if (names == NULL || is_key == NULL || is_text == NULL || is_sent == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < table->column_count; i++) {
        names[i] = table->columns[i].name;
        is_key[i] = table->columns[i].key_index > 0;
        is_text[i] = table_map_is_text(table->columns[i].type_oid);
        is_sent[i] = table->columns[i].published;
    }
    *ret_source = (struct source_columns){.schema = table->schema,
                                          .table = table->name,
                                          .count = table->column_count,
                                          .names = names,
                                          .is_key = is_key,
                                          .is_text = is_text,
                                          .is_sent = is_sent};
    return true;
}

/* What its rule does to the rows that were there before a column. */
static void note_rule(const struct table_map *map, const struct mapped_column *column,
                      struct table_column *mapped) {
    const struct column_rule *rule = column->rule;
    mapped->is_added = column->from == COLUMN_ADDED;
    mapped->is_made = column->expression != 0 || rule->step_count > 0 || rule->source == COLUMN_OF_MODE;
    mapped->fills_null = column->expression != 0;
    for (size_t i = 0; i < rule->step_count; i++)
        mapped->fills_null = mapped->fills_null || rule->steps[i].kind == STEP_DEFAULT;
    if (!mapped->is_made && mapped->is_added)
        mapped->constant = rule->source == COLUMN_CONST   ? rule->text
                           : rule->source == COLUMN_TABLE ? map->source_name
                                                          : NULL;
}

static struct table_column map_table_column(const struct table *table, const struct table_map *map,
                                            const struct mapped_column *column) {
    const struct table_column text = {.type_oid = ADDED_TEXT.type_oid,
                                      .type_modifier = -1,
                                      .base_modifier = -1,
                                      .type_schema = "pg_catalog",
                                      .type_name = "text",
                                      .type_sql = "text",
                                      .published = true};
    struct table_column mapped = column->from == COLUMN_ADDED ? text : table->columns[column->from];
    if (column->rule == NULL)
        return mapped;
    if (column->from != COLUMN_ADDED &&
        (column->expression != 0 || (column->rule->step_count > 0 && !table_map_is_text(mapped.type_oid)))) {
        mapped = text;
        mapped.not_null = table->columns[column->from].not_null && column->expression == 0;
        mapped.in_identity = table->columns[column->from].in_identity;
        mapped.key_index = table->columns[column->from].key_index;
    }
    mapped.source_name = column->from == COLUMN_ADDED ? NULL : table->columns[column->from].name;
    note_rule(map, column, &mapped);
    mapped.name = column->rule->as;
    if (column->rule->type != NULL)
        mapped.type_sql = column->rule->type;
    mapped.is_cast = column->rule->type != NULL;
    if (column->rule->source == COLUMN_OF_MODE) {
        mapped.type_oid = mode_column_spec(column->rule->mode_column)->type_oid;
        mapped.type_name = mode_column_spec(column->rule->mode_column)->type_name;
    }
    return mapped;
}

/*
 * A row without a key is found by all its values, and what the last change wrote is not among those of the
 * source.
 */
static bool check_rows_are_found(const struct table *table, const struct table_map *map, struct error *err) {
    if (map->rule->mode != ROWS_MERGED)
        return true;
    for (uint32_t i = 0;
         table->identity == REPLICA_IDENTITY_FULL && table->key_count == 0 && i < map->column_count; i++)
        if (map->columns[i].from == COLUMN_ADDED &&
            column_source_is_of_change(map->columns[i].rule->source)) {
            error_set(err, ERROR_CONFIG,
                      "mapping: the rule for %s: column %s cannot be added to table %s, whose rows have no "
                      "key: they "
                      "are found by all their values",
                      map->rule->match, map->columns[i].rule->as, map->source_name);
            return error_remedy(err, "leave the column out, or give the table a primary key");
        }
    return true;
}

/* What the source generates and does not send is the sink's own affair. */
static void leave_out_unsent(const struct table *table, struct table_map *map) {
    uint32_t count = 0;
    for (uint32_t i = 0; i < map->column_count; i++)
        if (map->columns[i].from == COLUMN_ADDED || table->columns[map->columns[i].from].published)
            map->columns[count++] = map->columns[i];
    map->column_count = count;
}

/* After the columns of the source's key: the first of those divides the table. */
static void place_in_key(const struct table *table, const struct rule *rule, const struct column_rule *added,
                         struct table_column *column, uint32_t *key_count) {
    if (!owned_is_in_key(rule, added))
        return;
    column->not_null = true;
    column->in_identity = table_has_message_key(table);
    if (table->key_count > 0)
        column->key_index = ++*key_count;
}

static bool is_ruled_column(const struct table_map *map, const char *name, uint32_t index) {
    bool is_ruled = false;
    for (size_t i = 0; i < map->rule->column_count && !is_ruled; i++)
        is_ruled =
            (map->rule->columns[i].source == COLUMN_VALUE || map->rule->columns[i].source == COLUMN_SQL) &&
            strcmp(map->rule->columns[i].name, name) == 0;
    for (uint32_t i = 0; map->expressions != NULL && i < map->expressions->input_count && !is_ruled; i++)
        is_ruled = map->expressions->inputs[i] == index;
    return is_ruled;
}

static bool list_ruled(const struct table *table, const struct table_map *map, struct arena *arena,
                       struct table *mapped) {
    struct table_ruled *ruled = arena_alloc(arena, (table->column_count + 1) * sizeof *ruled);
    if (ruled == NULL)
        return false;
    mapped->ruled = ruled;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (is_ruled_column(map, table->columns[i].name, i))
            ruled[mapped->ruled_count++] =
                (struct table_ruled){.name = table->columns[i].name, .number = table->columns[i].number};
    return true;
}

static bool map_table(const struct table *table, const struct table_map *map, struct arena *arena,
                      struct table *ret_table, struct error *err) {
    struct table_column *columns = arena_alloc(arena, (map->column_count + 1) * sizeof *columns);
    if (columns == NULL)
        return error_no_memory(err);
    *ret_table = *table;
    for (uint32_t i = 0; i < map->column_count; i++) {
        columns[i] = map_table_column(table, map, &map->columns[i]);
        if (map->columns[i].from == COLUMN_ADDED)
            place_in_key(table, map->rule, map->columns[i].rule, &columns[i], &ret_table->key_count);
    }
    ret_table->owned_sql = map->owned_sql;
    ret_table->mapped_from = map->source_name;
    ret_table->policy = map->rule->policy;
    ret_table->schema = map->name.schema;
    ret_table->name = map->name.table;
    ret_table->columns = columns;
    ret_table->column_count = map->column_count;
    return list_ruled(table, map, arena, ret_table) || error_no_memory(err);
}

bool table_map_table(const struct mapping *mapping, const char *sink, const struct table *table,
                     struct arena *arena, struct table_map *ret_map, struct table *ret_table,
                     struct error *err) {
    struct source_columns source = {0};
    *ret_table = *table;
    if (!table_columns(table, arena, &source, err) || !make_map(mapping, sink, &source, arena, ret_map, err))
        return false;
    if (ret_map->rule == NULL)
        return true;
    leave_out_unsent(table, ret_map);
    if (!check_rows_are_found(table, ret_map, err))
        return false;
    return map_table(table, ret_map, arena, ret_table, err) &&
           mode_shape_table(ret_map, table, ret_table, err) && policy_shape_check(ret_map, table, err);
}

/* ---- for comparisons ---- */

void table_map_name_changes(const struct table_map *map, struct buffer *names) {
    for (uint32_t i = 0; i < map->column_count; i++)
        if (mapped_column_is_of_change(&map->columns[i]))
            buffer_printf(names, "%s%s", names->size > 0 ? ", " : "", map->columns[i].rule->as);
}
