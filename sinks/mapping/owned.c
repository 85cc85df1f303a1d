/* SPDX-License-Identifier: Apache-2.0 */
/*
 * owned.c - conditions on the columns that have one value.
 */
#include "sinks/mapping/owned.h"

#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/pq/identifier.h"

enum { SQL_BYTES_MAX = 64 * 1024 };

static bool is_listed(const struct rule *rule, const char *name) {
    for (size_t i = 0; i < rule->key_count; i++)
        if (strcmp(rule->key[i], name) == 0)
            return true;
    return false;
}

bool owned_is_in_key(const struct rule *rule, const struct column_rule *column) {
    if (column->tells_source)
        return true;
    if (column->source != COLUMN_CONST && column->source != COLUMN_TABLE)
        return false;
    return rule->key != NULL ? is_listed(rule, column->as) : column->source == COLUMN_CONST;
}

bool owned_has_table(const struct rule *rule) {
    for (size_t i = 0; i < rule->column_count; i++)
        if (rule->columns[i].source == COLUMN_TABLE && owned_is_in_key(rule, &rule->columns[i]))
            return true;
    return false;
}

static const char *value_of(const struct column_rule *column, const char *source_name) {
    return column->source == COLUMN_CONST ? column->text : source_name;
}

bool owned_sql(const struct rule *rule, const char *source_name, struct arena *arena, const char **ret_sql,
               struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = SQL_BYTES_MAX};
    *ret_sql = NULL;
    for (size_t i = 0; i < rule->column_count; i++) {
        const struct column_rule *column = &rule->columns[i];
        if (!owned_is_in_key(rule, column))
            continue;
        buffer_append_text(&sql, sql.size > 0 ? " and " : "");
        identifier_append(&sql, slice_of(column->as));
        buffer_append_text(&sql, " = ");
        literal_append(&sql, slice_of(value_of(column, source_name)));
    }
    if (buffer_ok(&sql) && sql.size == 0)
        return true;
    *ret_sql = buffer_ok(&sql) ? arena_copy(arena, buffer_slice(&sql)) : NULL;
    return *ret_sql != NULL || error_no_memory(err);
}

static const struct column_rule *find_fixed(const struct rule *rule, const char *name) {
    for (size_t i = 0; i < rule->column_count; i++)
        if (owned_is_in_key(rule, &rule->columns[i]) && strcmp(rule->columns[i].as, name) == 0)
            return &rule->columns[i];
    return NULL;
}

bool owned_apart(const struct rule *one, const char *one_name, const struct rule *other,
                 const char *other_name) {
    for (size_t i = 0; one != NULL && other != NULL && i < one->column_count; i++) {
        const struct column_rule *column = &one->columns[i];
        const struct column_rule *same = owned_is_in_key(one, column) ? find_fixed(other, column->as) : NULL;
        if (same != NULL && strcmp(value_of(column, one_name), value_of(same, other_name)) != 0)
            return true;
    }
    return false;
}
