/* SPDX-License-Identifier: Apache-2.0 */
/*
 * uncopied_target.c - does a target have the row with these key values?
 *
 * With a mapping the target's table has another name, its columns too, and the key's values are what the
 * steps make of them.
 */
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"
#include "cdc/source/uncopied_parts.h"
#include "sinks/mapping/step.h"
#include "sinks/mapping/table_map.h"

#define SQL_BYTES_MAX (1u << 20)
#define ARENA_BYTES_MAX ((size_t) 64 << 20)
#define UNDEFINED_TABLE "42P01"

enum { BLOCK_BYTES = 4096, CONDITIONS_MAX = 2 * UNCOPIED_KEYS_MAX };

/* The row as the target has it. Texts are in the arena, the source's table or its answer. */
struct target_row {
    const char *schema;
    const char *table;
    int count;
    const char *columns[CONDITIONS_MAX];
    const char *values[CONDITIONS_MAX];
};

static void add_condition(struct target_row *row, const char *column, const char *value) {
    if (row->count == CONDITIONS_MAX)
        return; /* fewer conditions find more rows: then nothing is said to be missing */
    row->columns[row->count] = column;
    row->values[row->count++] = value;
}

static void same_row(const struct table *table, const PGresult *old, int old_row, struct target_row *row) {
    *row = (struct target_row){.schema = table->schema, .table = table->name};
    for (uint32_t place = 1; place <= table->key_count; place++)
        add_condition(row, uncopied_key_column(table, place)->name,
                      PQgetvalue(old, old_row, (int) place - 1));
}

/* A step may make null of it, which a key has not, so nothing is known. */
static bool map_value(const struct column_rule *rule, const char *value, struct arena *arena,
                      const char **ret_value, struct error *err) {
    struct slice made;
    if (!steps_run(rule->steps, rule->step_count, slice_of(value), arena, &made, err))
        return false;
    *ret_value = made.data != NULL ? arena_copy(arena, made) : NULL;
    return made.data == NULL || *ret_value != NULL || error_no_memory(err);
}

static bool map_column(const struct table *table, const struct mapped_column *column, const char *name,
                       const PGresult *old, int old_row, struct arena *arena, struct target_row *row,
                       struct error *err) {
    const char *value = NULL;
    if (column->from == COLUMN_ADDED) {
        if (column->rule->source == COLUMN_CONST)
            add_condition(row, name, column->rule->text);
        return true;
    }
    const uint32_t place = table->columns[column->from].key_index;
    if (place == 0 || column->expression != 0)
        return true;
    value = PQgetvalue(old, old_row, (int) place - 1);
    if (column->rule != NULL && !map_value(column->rule, value, arena, &value, err))
        return false;
    if (value != NULL)
        add_condition(row, name, value);
    return true;
}

static bool mapped_row(const struct sink_config *sink, const struct table *table, const PGresult *old,
                       int old_row, struct arena *arena, struct target_row *row, struct error *err) {
    struct table mapped;
    struct table_map map;
    if (!table_map_table(sink->mapping, sink->name, table, arena, &map, &mapped, err))
        return false;
    if (map.rule == NULL) {
        same_row(table, old, old_row, row);
        return true;
    }
    *row = (struct target_row){.schema = mapped.schema, .table = mapped.name};
    for (uint32_t i = 0; table->key_count > 0 && i < map.column_count; i++)
        if (!map_column(table, &map.columns[i], mapped.columns[i].name, old, old_row, arena, row, err))
            return false;
    return true;
}

/* Without a key only an empty table is certain to lack the row. */
static void append_query(struct buffer *sql, const struct target_row *row) {
    buffer_append_text(sql, "select from ");
    identifier_append_qualified(sql, slice_of(row->schema), slice_of(row->table));
    for (int i = 0; i < row->count; i++) {
        buffer_append_text(sql, i == 0 ? " where " : " and ");
        identifier_append(sql, slice_of(row->columns[i]));
        buffer_printf(sql, " = $%d", i + 1);
    }
    buffer_append_text(sql, " limit 1");
}

static bool ask_for(struct uncopied_question *question, const struct target_row *row, bool *ret_lacks,
                    struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    PGresult *rows AUTO_PGRESULT = NULL;
    struct error answer;
    append_query(&sql, row);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    if (!uncopied_ask(question, question->target, sql.data, row->count, row->values, 0, &rows, &answer, err))
        return false;
    *ret_lacks = rows != NULL && PQresultStatus(rows) == PGRES_TUPLES_OK
                     ? PQntuples(rows) == 0
                     : strcmp(answer.sqlstate, UNDEFINED_TABLE) == 0;
    return true;
}

/* Then a row that is missing may have been left out. */
static bool has_condition(const struct sink_config *sink, const struct table *table, bool *ret_has,
                          struct error *err) {
    const struct rule *rule = NULL;
    if (!rule_find(sink->mapping, sink->name, table->schema, table->name, &rule, err))
        return false;
    *ret_has = rule != NULL && rule->where != NULL;
    return true;
}

bool uncopied_ask_target(struct uncopied_question *question, const struct table *table, const PGresult *old,
                         int old_row, bool *ret_lacks, struct error *err) {
    struct target_row row;
    struct arena arena AUTO(arena_release);
    bool is_filtered = false;
    arena_init(&arena, BLOCK_BYTES, ARENA_BYTES_MAX);
    if (question->sink != NULL && question->sink->mapping != NULL &&
        !has_condition(question->sink, table, &is_filtered, err))
        return false;
    *ret_lacks = false;
    if (is_filtered)
        return true;
    if (question->sink == NULL || question->sink->mapping == NULL)
        same_row(table, old, old_row, &row);
    else if (!mapped_row(question->sink, table, old, old_row, &arena, &row, err))
        return false;
    return ask_for(question, &row, ret_lacks, err);
}
