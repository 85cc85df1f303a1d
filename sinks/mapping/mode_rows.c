/* SPDX-License-Identifier: Apache-2.0 */
/*
 * mode_rows.c - one change in, its rows out.
 */
#include "sinks/mapping/mode_rows.h"

#include <string.h>

#include "sinks/mapping/mode_values.h"

/* The last version of a key in this span. */
struct last_version {
    const struct mode_shape *shape;
    const struct value *key; /* in a row of shape->rows */
    struct value *values;    /* of the version */
    bool is_open;
};

void mode_rows_release(struct mode_rows *rows) {
    map_release(&rows->last);
    map_release(&rows->shapes);
}

bool mode_rows_begin(struct mode_rows *rows, const struct change *changes, size_t count, struct arena *arena,
                     struct error *err) {
    size_t most = 1;
    for (size_t i = 0; i < count; i++)
        most += changes[i].kind == CHANGE_TRUNCATE ? 1 + (size_t) changes[i].relation_count : 2;
    rows->arena = arena;
    rows->most = count;
    rows->count = rows->version_count = 0;
    map_reset(&rows->last);
    map_reset(&rows->shapes);
    rows->changes = arena_alloc(arena, most * sizeof *rows->changes);
    rows->versions = NULL;
    return rows->changes != NULL || error_no_memory(err);
}

void mode_rows_flush(struct mode_rows *rows) {
    if (rows->version_count > 0)
        memcpy(rows->changes + rows->count, rows->versions, rows->version_count * sizeof *rows->versions);
    rows->count += rows->version_count;
    rows->version_count = 0;
    map_reset(&rows->last);
    map_reset(&rows->shapes);
}

static void emit(struct mode_rows *rows, const struct change *change) {
    rows->changes[rows->count++] = *change;
}

/* ---- parts of a change ---- */

static bool copy_values(struct mode_rows *rows, const struct mode_shape *shape, const struct value *values,
                        struct value **ret_values, struct error *err) {
    const size_t count = shape->rows->column_count;
    *ret_values = arena_alloc_zero(rows->arena, (count + 1) * sizeof **ret_values);
    if (*ret_values == NULL)
        return error_no_memory(err);
    for (size_t i = 0; i < count; i++)
        (*ret_values)[i] = values != NULL ? values[i] : (struct value){.kind = VALUE_NULL};
    return true;
}

static bool is_other(const struct value *one, const struct value *other) {
    return other->kind != VALUE_UNCHANGED &&
           (one->kind != other->kind || !slice_equal(value_slice(one), value_slice(other)));
}

/* Has an update another key than its old row? */
static bool moves(const struct mode_shape *shape, const struct change *change) {
    for (uint32_t i = 0; change->old_values != NULL && i < shape->keyed->column_count; i++)
        if (shape->keyed->columns[i].is_key && is_other(&change->old_values[i], &change->new_values[i]))
            return true;
    return false;
}

static struct mode_event event_of(const struct mode_shape *shape, const struct change *change, char op) {
    return (struct mode_event){
        .change = change, .op = op, .is_binary = mode_values_are_binary(shape->keyed, change)};
}

static bool has_unchanged(const struct mode_shape *shape, const struct value *values) {
    for (uint32_t i = 0; i < shape->rows->column_count; i++)
        if (values[i].kind == VALUE_UNCHANGED)
            return true;
    return false;
}

/* The INSERT of a row; old_key: of the row that has its unsent values, or NULL. */
static struct change insert_of(const struct mode_shape *shape, const struct change *change,
                               const struct value *values, const struct value *old_key) {
    struct change insert = *change;
    const bool is_partial = has_unchanged(shape, values);
    insert.kind = CHANGE_INSERT;
    insert.relation = shape->rows;
    insert.new_values = values;
    insert.old_values = is_partial ? old_key : NULL;
    insert.old_kind = insert.old_values != NULL ? OLD_KEY : OLD_NONE;
    insert.is_partial = is_partial;
    return insert;
}

/* ---- append ---- */

static void take_old_values(const struct change *change, struct value *values, uint32_t count) {
    for (uint32_t i = 0; change->old_kind == OLD_FULL && i < count; i++)
        if (values[i].kind == VALUE_UNCHANGED)
            values[i] = change->old_values[i];
}

/* Also a deletion and a TRUNCATE say which source they are of. */
static void set_fixed(const struct mode_shape *shape, struct value *values, bool is_binary) {
    for (uint32_t i = 0; i < shape->rows->column_count; i++)
        if (shape->fixed[i] != NULL && values[i].kind == VALUE_NULL)
            values[i] = (struct value){.data = shape->fixed[i],
                                       .size = (uint32_t) strlen(shape->fixed[i]),
                                       .kind = is_binary ? VALUE_BINARY : VALUE_TEXT};
}

static bool add_event(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                      char op, const struct value *of_row, struct error *err) {
    const struct mode_event event = event_of(shape, change, op);
    const uint32_t count = shape->rows->column_count;
    struct value *values = NULL, unchanged;
    if (!copy_values(rows, shape, of_row, &values, err))
        return false;
    if (of_row != NULL && of_row == change->new_values)
        take_old_values(change, values, count);
    set_fixed(shape, values, event.is_binary);
    if (!mode_values_unchanged(shape, values, event.is_binary, rows->arena, &unchanged, err) ||
        !mode_values_set(shape, &event, values, rows->arena, err))
        return false;
    values[shape->at[MODE_UNCHANGED]] = unchanged;
    for (uint32_t i = 0; i < count; i++)
        if (values[i].kind == VALUE_UNCHANGED)
            values[i].kind = VALUE_NULL;
    const struct change insert = insert_of(shape, change, values, NULL);
    emit(rows, &insert);
    return true;
}

static bool append_change(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                          struct error *err) {
    switch (change->kind) {
    case CHANGE_DELETE:
        return add_event(rows, shape, change, 'd', change->old_values, err);
    case CHANGE_UPDATE:
        return ((change->old_kind != OLD_FULL && !moves(shape, change)) ||
                add_event(rows, shape, change, 'd', change->old_values, err)) &&
               add_event(rows, shape, change, 'u', change->new_values, err);
    default:
        return add_event(rows, shape, change, 'c', change->new_values, err);
    }
}

/* A row without the values of one. */
static bool append_truncate(struct mode_rows *rows, const struct mode_shape *shape,
                            const struct change *change, struct error *err) {
    const struct change event = {.kind = CHANGE_INSERT,
                                 .lsn = change->lsn,
                                 .index = change->index,
                                 .transaction = change->transaction,
                                 .relation = shape->keyed};
    return add_event(rows, shape, &event, 't', NULL, err);
}

/* ---- soft_delete ---- */

/* The row with the key of old_values is marked. */
static bool mark_deleted(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                         struct error *err) {
    const struct mode_event event = event_of(shape, change, 'd');
    struct change mark = *change;
    struct value *values = NULL;
    if (!copy_values(rows, shape, change->old_values, &values, err))
        return false;
    for (uint32_t i = 0; i < shape->rows->column_count; i++)
        if (!shape->rows->columns[i].is_key)
            values[i] = (struct value){.kind = VALUE_UNCHANGED};
    mark.kind = CHANGE_UPDATE;
    mark.relation = shape->rows;
    mark.old_kind = OLD_NONE;
    mark.old_values = NULL;
    mark.new_values = values;
    emit(rows, &mark);
    return mode_values_set(shape, &event, values, rows->arena, err);
}

static bool keep_row(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                     struct error *err) {
    const bool is_update = change->kind == CHANGE_UPDATE;
    const bool is_moved = is_update && moves(shape, change);
    const struct mode_event event = event_of(shape, change, is_update ? 'u' : 'c');
    struct change kept = *change;
    struct value *values = NULL;
    if ((is_moved && !mark_deleted(rows, shape, change, err)) ||
        !copy_values(rows, shape, change->new_values, &values, err) ||
        !mode_values_set(shape, &event, values, rows->arena, err))
        return false;
    kept.relation = shape->rows;
    kept.new_values = values;
    kept.old_values = NULL;
    kept.old_kind = OLD_NONE;
    if (!is_update || is_moved)
        kept = insert_of(shape, change, values, change->old_values);
    emit(rows, &kept);
    return true;
}

/* ---- history ---- */

static uint64_t hash_key(const struct mode_shape *shape, const struct value *key) {
    uint64_t hash = (uintptr_t) shape ^ UINT64_C(0xcbf29ce484222325);
    for (uint32_t i = 0; i < shape->keyed->column_count; i++) {
        if (!shape->keyed->columns[i].is_key)
            continue;
        for (uint32_t k = 0; k < key[i].size; k++)
            hash = (hash ^ (uint8_t) key[i].data[k]) * UINT64_C(0x100000001b3);
        hash = (hash ^ key[i].size) * UINT64_C(0x100000001b3);
    }
    return hash;
}

static bool is_same_key(const void *object, const void *key) {
    const struct last_version *one = object, *other = key;
    if (one->shape != other->shape)
        return false;
    for (uint32_t i = 0; i < one->shape->keyed->column_count; i++)
        if (one->shape->keyed->columns[i].is_key && is_other(&one->key[i], &other->key[i]))
            return false;
    return true;
}

static bool refuse_order(const struct mode_shape *shape, struct error *err) {
    return error_set(err, ERROR_PROTOCOL,
                     "mapping: mode history: changes of one row of table %s contradict each other",
                     shape->source_name);
}

/* In the target: the row that was current before the span. */
static bool close_current(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                          const struct value *key, const struct value *time, struct error *err) {
    struct change close = *change;
    const bool is_binary = time->kind == VALUE_BINARY;
    struct value *values = arena_alloc_zero(rows->arena, shape->closes->column_count * sizeof *values);
    uint32_t count = 0;
    if (values == NULL)
        return error_no_memory(err);
    for (uint32_t i = 0; i < shape->keyed->column_count; i++) {
        if (shape->keyed->columns[i].is_key)
            values[count++] = key[i];
        else if ((int32_t) i == shape->at[MODE_VALID_TO])
            values[count++] = *time;
        else if ((int32_t) i == shape->at[MODE_CURRENT])
            values[count++] = mode_values_flag(false, is_binary);
    }
    close.kind = CHANGE_UPDATE;
    close.relation = shape->closes;
    close.old_kind = OLD_NONE;
    close.old_values = NULL;
    close.new_values = values;
    emit(rows, &close);
    return true;
}

static struct last_version *find_last(const struct mode_rows *rows, const struct mode_shape *shape,
                                      const struct value *key) {
    const struct last_version like = {.shape = shape, .key = key};
    return map_find(&rows->last, hash_key(shape, key), is_same_key, &like);
}

/* The sink takes unsent values from the current version, which ends then. */
static bool is_filled(const struct mode_shape *shape, const struct change *change) {
    return change->new_values != NULL && has_unchanged(shape, change->new_values);
}

/* *ret_last: the version of this span that ended, or NULL. */
static bool end_version(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                        const struct value *key, struct last_version **ret_last, struct error *err) {
    const struct mode_event event = event_of(shape, change, 'u');
    struct last_version *last = find_last(rows, shape, key);
    struct value time;
    *ret_last = last;
    if (!mode_values_time(&event, rows->arena, &time, err))
        return false;
    if (last != NULL && !last->is_open)
        return refuse_order(shape, err);
    if (last == NULL) {
        last = arena_alloc_zero(rows->arena, sizeof *last);
        if (last == NULL)
            return error_no_memory(err);
        *last = (struct last_version){.shape = shape, .key = key};
        return (is_filled(shape, change) || close_current(rows, shape, change, key, &time, err)) &&
               (map_put(&rows->last, hash_key(shape, key), is_same_key, last, last) || error_no_memory(err));
    }
    last->values[shape->at[MODE_VALID_TO]] = time;
    last->values[shape->at[MODE_CURRENT]] = mode_values_flag(false, event.is_binary);
    last->is_open = false;
    return true;
}

/* What was not sent is what the version before has. */
static void take_last_values(const struct last_version *last, struct value *values, uint32_t count) {
    for (uint32_t i = 0; last != NULL && i < count; i++)
        if (values[i].kind == VALUE_UNCHANGED)
            values[i] = last->values[i];
}

static bool add_version(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                        const struct value *old_key, struct value *values, struct error *err) {
    const struct last_version *before = find_last(rows, shape, values);
    struct last_version *last = arena_alloc_zero(rows->arena, sizeof *last);
    if (last == NULL)
        return error_no_memory(err);
    if (before != NULL && before->is_open)
        return refuse_order(shape, err);
    *last = (struct last_version){.shape = shape, .key = values, .values = values, .is_open = true};
    rows->versions[rows->version_count++] = insert_of(shape, change, values, old_key);
    return map_put(&rows->last, hash_key(shape, values), is_same_key, last, last) || error_no_memory(err);
}

/* A version whose values were not all sent must be in the sink before the next one takes them. */
static void finish_filled(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                          const struct value *old_key) {
    const struct last_version *last = find_last(rows, shape, old_key);
    if (last != NULL && last->values != NULL && is_filled(shape, change) &&
        has_unchanged(shape, last->values))
        mode_rows_flush(rows);
}

static bool add_history(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                        struct error *err) {
    const struct value *old_key = change->old_values != NULL ? change->old_values : change->new_values;
    const struct mode_event event = event_of(shape, change, change->kind == CHANGE_UPDATE ? 'u' : 'c');
    struct last_version *last = NULL;
    struct value *values = NULL;
    const bool ends = change->kind == CHANGE_UPDATE || change->kind == CHANGE_DELETE;
    if (ends)
        finish_filled(rows, shape, change, old_key);
    if (ends && !end_version(rows, shape, change, old_key, &last, err))
        return false;
    if (change->kind == CHANGE_DELETE)
        return true;
    if (!copy_values(rows, shape, change->new_values, &values, err) ||
        !mode_values_set(shape, &event, values, rows->arena, err))
        return false;
    take_last_values(last, values, shape->rows->column_count);
    return add_version(rows, shape, change, old_key, values, err);
}

/* Rows of another definition of a table are in another set: a sink applies one after the other. */
static bool take_shape(struct mode_rows *rows, const struct mode_shape *shape, struct error *err) {
    const struct mode_shape *before = map_find_number(&rows->shapes, shape->keyed->oid);
    if (before != NULL && before != shape)
        mode_rows_flush(rows);
    return map_put_number(&rows->shapes, shape->keyed->oid, (struct mode_shape *) (uintptr_t) shape) ||
           error_no_memory(err);
}

static bool make_versions(struct mode_rows *rows, struct error *err) {
    if (rows->versions == NULL)
        rows->versions = arena_alloc(rows->arena, (rows->most + 1) * sizeof *rows->versions);
    return rows->versions != NULL || error_no_memory(err);
}

/* ---- all ---- */

/* row_map.c has given it all its values, as to a row of COPY. */
static void emit_copied(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change) {
    struct change copied = *change;
    copied.relation = shape->rows;
    emit(rows, &copied);
}

bool mode_rows_add(struct mode_rows *rows, const struct mode_shape *shape, const struct change *change,
                   struct error *err) {
    if (shape != NULL && change->kind == CHANGE_READ) {
        emit_copied(rows, shape, change);
        return true;
    }
    switch (shape != NULL ? shape->mode : ROWS_MERGED) {
    case ROWS_APPENDED:
        return append_change(rows, shape, change, err);
    case ROWS_SOFT_DELETE:
        return change->kind == CHANGE_DELETE ? mark_deleted(rows, shape, change, err)
                                             : keep_row(rows, shape, change, err);
    case ROWS_HISTORY:
        return make_versions(rows, err) && take_shape(rows, shape, err) &&
               add_history(rows, shape, change, err);
    case ROWS_MERGED:
        break;
    }
    emit(rows, change);
    return true;
}

bool mode_rows_truncate(struct mode_rows *rows, const struct mode_shape *const *shapes,
                        const struct change *change, struct error *err) {
    struct change truncate = *change;
    const struct relation **relations =
        arena_alloc(rows->arena, (change->relation_count + 1) * sizeof *relations);
    if (relations == NULL)
        return error_no_memory(err);
    mode_rows_flush(rows);
    truncate.relations = relations;
    truncate.relation_count = 0;
    for (uint32_t i = 0; i < change->relation_count; i++)
        if (shapes[i]->mode != ROWS_APPENDED)
            relations[truncate.relation_count++] = shapes[i]->rows;
        else if (!append_truncate(rows, shapes[i], change, err))
            return false;
    if (truncate.relation_count > 0)
        emit(rows, &truncate);
    return true;
}
