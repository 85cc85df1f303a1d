/* SPDX-License-Identifier: Apache-2.0 */
/*
 * row_change.c - compares old and new values.
 */
#include "sinks/postgres/apply/row_change.h"

bool value_is_same(const struct value *a, const struct value *b) {
    return a->kind == b->kind && slice_equal(value_slice(a), value_slice(b));
}

const struct value *row_change_key(const struct target_table *table, const struct change *change) {
    const struct value *values = change->old_kind == OLD_NONE ? change->new_values : change->old_values;
    if (values == NULL || (!table->has_key && change->old_kind != OLD_FULL))
        return NULL;
    for (uint32_t i = 0; i < table->key_count; i++)
        if (values[table->key_columns[i]].kind == VALUE_UNCHANGED)
            return NULL;
    return values;
}

bool row_change_moves_key(const struct target_table *table, const struct change *change) {
    if (change->old_kind == OLD_NONE)
        return false;
    for (uint32_t i = 0; i < table->key_count; i++) {
        uint32_t column = table->key_columns[i];
        if (change->new_values[column].kind != VALUE_UNCHANGED &&
            !value_is_same(&change->old_values[column], &change->new_values[column]))
            return true;
    }
    return false;
}

/* Does the old tuple hold this column's value? */
static bool knows_old(const struct change *change, uint32_t column) {
    return change->old_kind == OLD_FULL ||
           (change->old_kind == OLD_KEY && change->relation->columns[column].is_key);
}

/* An update without an old tuple did not change the replica identity. */
static bool may_have_changed(const struct change *change, uint32_t column) {
    if (change->new_values[column].kind == VALUE_UNCHANGED)
        return false;
    if (knows_old(change, column))
        return !value_is_same(&change->old_values[column], &change->new_values[column]);
    return change->old_kind != OLD_NONE || !change->relation->columns[column].is_key;
}

bool row_change_must_replace(const struct target_table *table, const struct change *change) {
    if (!table->has_always)
        return false;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_always && may_have_changed(change, i))
            return true;
    return false;
}

/* A key that does not change is not set; the server would compare it for nothing. */
static bool need_not_set(const struct target_table *table, const struct change *change, uint32_t column) {
    if (table->columns[column].is_always)
        return true;
    if (!table->columns[column].is_key)
        return false;
    return change->old_kind == OLD_NONE ||
           value_is_same(&change->old_values[column], &change->new_values[column]);
}

void row_change_written(const struct target_table *table, const struct change *change, bool all,
                        struct column_set *written) {
    column_set_init(written, table->column_count);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written && change->new_values[i].kind != VALUE_UNCHANGED &&
            (all || !need_not_set(table, change, i)))
            column_set_add(written, i);
}
