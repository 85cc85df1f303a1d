/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_rows.c - one statement a change, in the source's order. What it does is the definition of right.
 *
 * All statements of a span travel in one pipeline, behind BEGIN and the position's lock when they are the first of
 * their target transaction; each must say that it changed exactly one row.
 */
#include <assert.h>

#include "cdc/base/fault.h"
#include "sinks/postgres/apply.h"

#define TRUNCATE_SQL_BYTES_MAX (4u * 1024u * 1024u)

static bool broken_change(const char *what, const struct target_table *table, const struct change *change,
                          struct error *err) {
    error_set(err, ERROR_PROTOCOL, "source: %s", what);
    return error_wrap(err, "a change of %s in the transaction that commits at %s", table->name,
                      lsn_format(change->transaction->commit_lsn).text);
}

bool change_key(const struct target_table *table, const struct change *change,
                const struct value **ret_values, struct error *err) {
    const struct value *values = change->old_kind == OLD_NONE ? change->new_values : change->old_values;
    if (values == NULL || (!table->has_key && change->old_kind != OLD_FULL))
        return error_set(
            err, ERROR_DATA,
            "source: table %s has no replica identity that tells which row it was; alter table %s "
            "replica identity full there",
            table->name, table->name);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_key && values[i].kind == VALUE_UNCHANGED)
            return broken_change("a key's value is not there", table, change, err);
    *ret_values = values;
    return true;
}

static bool fits(const struct target_table *table, const struct value *values, uint32_t *ret_misfit) {
    for (uint32_t i = 0; values != NULL && i < table->column_count; i++)
        if (values[i].kind == VALUE_BINARY && !table->columns[i].takes_binary) {
            *ret_misfit = i;
            return false;
        }
    return true;
}

bool change_check_binary(struct apply *apply, const struct target_table *table, const struct change *change,
                         struct error *err) {
    uint32_t misfit = 0;
    if (fits(table, change->old_values, &misfit) && fits(table, change->new_values, &misfit))
        return true;
    apply->sink->sink.needs_text = true;
    return error_set(
        err, ERROR_RETRY,
        "target: column %s of %s has another type than at the source, so values must come as text",
        table->columns[misfit].name, table->name);
}

static bool is_same(const struct value *a, const struct value *b) {
    return a->kind == b->kind && slice_equal(value_slice(a), value_slice(b));
}

/* Does the old tuple tell this column's value? */
static bool knows_old(const struct change *change, uint32_t column) {
    return change->old_kind == OLD_FULL ||
           (change->old_kind == OLD_KEY && change->relation->columns[column].is_key);
}

/* An update without an old tuple did not change the key. */
static bool may_have_changed(const struct change *change, uint32_t column) {
    if (knows_old(change, column))
        return !is_same(&change->old_values[column], &change->new_values[column]);
    return change->old_kind != OLD_NONE || !change->relation->columns[column].is_key;
}

/* GENERATED ALWAYS AS IDENTITY can be inserted but not set. */
static bool must_replace(const struct target_table *table, const struct change *change) {
    if (!table->has_always)
        return false;
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_always && change->new_values[i].kind != VALUE_UNCHANGED &&
            may_have_changed(change, i))
            return true;
    return false;
}

/* A key that stays is not set: the server would compare it in vain. */
static void written_by_update(const struct target_table *table, const struct change *change,
                              const struct value *key, struct column_set *written) {
    column_set_init(written, table->column_count);
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct target_column *column = &table->columns[i];
        const struct value *value = &change->new_values[i];
        if (!column->is_written || column->is_always || value->kind == VALUE_UNCHANGED)
            continue;
        if (column->is_key && is_same(&key[i], value))
            continue;
        column_set_add(written, i);
    }
}

static void written_by_replace(const struct target_table *table, const struct change *change,
                               struct column_set *written) {
    column_set_init(written, table->column_count);
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written && change->new_values[i].kind != VALUE_UNCHANGED)
            column_set_add(written, i);
}

static bool send_insert(struct apply *apply, struct target_table *table, const struct change *change,
                        struct error *err) {
    const struct statement *statement = NULL;
    const struct pipeline_note note = {.rows_expected = 1, .table = table, .change = change};
    return statement_find(&apply->statements, &apply->pipeline, table, STATEMENT_ROW_INSERT, NULL, &statement,
                          err) &&
           statement_execute_row(&apply->statements, &apply->pipeline, statement, NULL, change->new_values,
                                 note, err);
}

static bool send_update(struct apply *apply, struct target_table *table, const struct change *change,
                        struct error *err) {
    const struct value *key = NULL;
    if (!change_key(table, change, &key, err))
        return false;
    struct column_set written;
    enum statement_kind kind = STATEMENT_ROW_UPDATE;
    if (must_replace(table, change)) {
        kind = STATEMENT_ROW_REPLACE;
        written_by_replace(table, change, &written);
    } else {
        written_by_update(table, change, key, &written);
    }
    const struct statement *statement = NULL;
    const struct pipeline_note note = {.rows_expected = 1, .table = table, .change = change};
    return statement_find(&apply->statements, &apply->pipeline, table, kind, &written, &statement, err) &&
           statement_execute_row(&apply->statements, &apply->pipeline, statement, key, change->new_values,
                                 note, err);
}

static bool send_delete(struct apply *apply, struct target_table *table, const struct change *change,
                        struct error *err) {
    const struct value *key = NULL;
    const struct statement *statement = NULL;
    const struct pipeline_note note = {
        .rows_expected = 1, .may_miss = table->may_cascade, .table = table, .change = change};
    return change_key(table, change, &key, err) &&
           statement_find(&apply->statements, &apply->pipeline, table, STATEMENT_ROW_DELETE, NULL, &statement,
                          err) &&
           statement_execute_row(&apply->statements, &apply->pipeline, statement, key, NULL, note, err);
}

static bool send_row(struct apply *apply, struct target_table *table, const struct change *change,
                     struct error *err) {
    if (!change_check_binary(apply, table, change, err))
        return false;
    switch (change->kind) {
    case CHANGE_INSERT:
    case CHANGE_READ:
        return send_insert(apply, table, change, err);
    case CHANGE_UPDATE:
        return send_update(apply, table, change, err);
    case CHANGE_DELETE:
        return send_delete(apply, table, change, err);
    case CHANGE_TRUNCATE:
    case CHANGE_BEGIN:
    case CHANGE_COMMIT:
    case CHANGE_MESSAGE:
        break;
    }
    return true;
}

/*
 * One statement for all its tables. CASCADE is not repeated: the message names every published table that was emptied,
 * and what only the target has is not ours to empty; there the server refuses.
 */
static bool send_truncate(struct apply *apply, const struct change *change, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TRUNCATE_SQL_BYTES_MAX};
    struct target_table *table = NULL;
    for (uint32_t i = 0; i < change->relation_count; i++) {
        table = apply_table(apply, change->relations[i]);
        buffer_printf(&sql, "%s%s%s", i == 0 ? "truncate " : ", ", table->is_partitioned ? "" : "only ",
                      table->name);
    }
    if (change->truncate_flags & TRUNCATE_RESTART_IDENTITY)
        buffer_append_text(&sql, " restart identity");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const struct pipeline_note note = {.rows_expected = ROWS_ANY, .table = table, .change = change};
    return table == NULL || pipeline_query(&apply->pipeline, sql.data, note, err);
}

static bool send_rows(struct apply *apply, const struct span *span, struct error *err) {
    for (size_t i = 0; i < span->count; i++) {
        const struct change *change = &span->changes[i];
        bool sent = change->kind == CHANGE_TRUNCATE ? send_truncate(apply, change, err)
                    : span->tables[i] != NULL       ? send_row(apply, span->tables[i], change, err)
                                                    : true;
        if (!sent)
            return false;
    }
    return true;
}

bool apply_rows(struct apply *apply, const struct span *span, struct error *err) {
    struct pipeline *pipeline = &apply->pipeline;
    if (!pipeline_begin(pipeline, err) || !postgres_begin(apply->sink, pipeline, err))
        return false;
    if (send_rows(apply, span, err) && pipeline_finish(pipeline, err))
        return true;
    return postgres_explain(apply->sink, &pipeline->failure, err);
}
