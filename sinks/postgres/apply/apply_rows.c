/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_rows.c - one statement a change, in the source's order. What it does is the definition of right.
 *
 * All statements of a span are sent in one pipeline, after BEGIN and the position's lock when they are the
 * first of their target transaction. Each must report that it changed exactly one row. A pipeline without
 * BEGIN is a transaction by itself. So a few rows with their position need no BEGIN, no COMMIT and only one
 * round trip, if the server itself counts the rows (COUNTS_ONE), which costs it 5 us per row.
 */
#include <assert.h>
#include <inttypes.h>

#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/apply/row_change.h"
#include "sinks/postgres/apply/row_match.h"
#include "sinks/row_mode.h"

#define TRUNCATE_SQL_BYTES_MAX (4u * 1024u * 1024u)

bool apply_needs_text(const struct target_table *table, uint32_t column, struct error *err) {
    return error_set(
        err, ERROR_NEEDS_TEXT,
        "target: column %s of %s has another type than at the source, so values must be sent as text",
        table->columns[column].name, table->name);
}

static bool check_binary(const struct target_table *table, const struct value *values, struct error *err) {
    for (uint32_t i = 0; values != NULL && i < table->column_count; i++)
        if (values[i].kind == VALUE_BINARY && !table->columns[i].takes_binary)
            return apply_needs_text(table, i, err);
    return true;
}

static bool no_identity(const struct target_table *table, struct error *err) {
    return error_set(err, ERROR_DATA,
                     "source: table %s has no replica identity that identifies the row; alter "
                     "table %s replica identity full there",
                     table->name, table->name);
}

bool apply_look(struct apply *apply, struct target_table *table, struct error *err) {
    static const struct statement_form FORM = {.kind = STATEMENT_SHAPE};
    const struct pq_pipeline_note note = {.rows_expected = ROWS_ANY, .shape = &table->shape, .table = table};
    const struct statement *statement = NULL;
    if (table->looked_at_in == apply->target->transaction_count)
        return true;
    table->looked_at_in = apply->target->transaction_count;
    return statement_find(&apply->statements, &apply->pipeline, table, &FORM, &statement, err) &&
           pq_pipeline_describe(&apply->pipeline, statement->name, note, err);
}

bool apply_send_statement(struct apply *apply, struct target_table *table, struct statement_form form,
                          const struct value *key, const struct value *values, struct pq_pipeline_note note,
                          struct error *err) {
    const struct statement *statement = NULL;
    note.table = table;
    note.rows_expected = 1;
    note.counts_one = apply->counts_one;
    form.counts_one = apply->counts_one;
    form.nulls = key != NULL ? row_match_nulls(table, key) : 0;
    return apply_look(apply, table, err) &&
           statement_find(&apply->statements, &apply->pipeline, table, &form, &statement, err) &&
           statement_execute_row(&apply->statements, &apply->pipeline, statement, key, values, note, err);
}

/* A mapping has written the old key into an insert whose values were not all sent: mode_rows.h. */
static bool send_filled_insert(struct apply *apply, struct target_table *table, const struct change *change,
                               struct error *err) {
    const struct pq_pipeline_note note = {.change = change};
    struct column_set written;
    row_change_written(table, change, true, &written);
    const struct statement_form form = {.kind = STATEMENT_ROW_FILL, .written = &written};
    return apply_send_statement(apply, table, form, change->old_values, change->new_values, note, err);
}

bool apply_send_insert(struct apply *apply, struct target_table *table, const struct change *change,
                       const struct value *values, struct error *err) {
    const struct pq_pipeline_note note = {.change = change};
    if (change != NULL && change->is_partial && change->old_values != NULL)
        return send_filled_insert(apply, table, change, err);
    const struct statement_form form = {.kind = STATEMENT_ROW_INSERT};
    return apply_send_statement(apply, table, form, NULL, values, note, err);
}

void apply_forget_foreign(struct apply *apply) {
    apply->foreign_updates = apply->foreign_deletes = 0;
}

void apply_count_foreign(struct apply *apply) {
    uint64_t *pending = apply->target->conflicts.pending;
    pending[CONFLICT_UPDATE_ORIGIN_DIFFERS] += apply->foreign_updates;
    pending[CONFLICT_DELETE_ORIGIN_DIFFERS] += apply->foreign_deletes;
    apply_forget_foreign(apply);
}

/* detect_origin: before the change, has another session changed its row last? */
static bool ask_origin(struct apply *apply, struct target_table *table, const struct change *change,
                       const struct value *key, struct error *err) {
    const struct statement_form form = {.kind = STATEMENT_ROW_ORIGIN,
                                        .nulls = row_match_nulls(table, key),
                                        .origin = apply->target->origin_id};
    const struct pq_pipeline_note note = {.rows_expected = ROWS_ANY,
                                          .table = table,
                                          .change = change,
                                          .tally = change->kind == CHANGE_UPDATE ? &apply->foreign_updates
                                                                                 : &apply->foreign_deletes};
    const struct statement *statement = NULL;
    return !apply->target->policy.detects_origin ||
           (apply_look(apply, table, err) &&
            statement_find(&apply->statements, &apply->pipeline, table, &form, &statement, err) &&
            statement_execute_row(&apply->statements, &apply->pipeline, statement, key, NULL, note, err));
}

static bool send_update(struct apply *apply, struct target_table *table, const struct change *change,
                        struct error *err) {
    const struct value *key = row_change_key(table, change);
    if (key == NULL)
        return no_identity(table, err);
    bool replace = row_change_must_replace(table, change);
    struct column_set written;
    row_change_written(table, change, replace, &written);
    const struct statement_form form = {.kind = replace ? STATEMENT_ROW_REPLACE : STATEMENT_ROW_UPDATE,
                                        .written = &written};
    const struct pq_pipeline_note note = {.change = change};
    return ask_origin(apply, table, change, key, err) &&
           apply_send_statement(apply, table, form, key, change->new_values, note, err);
}

static bool send_delete(struct apply *apply, struct target_table *table, const struct change *change,
                        struct error *err) {
    const struct value *key = row_change_key(table, change);
    if (key == NULL)
        return no_identity(table, err);
    const struct pq_pipeline_note note = {.may_miss = table->may_cascade, .change = change};
    const struct statement_form form = {.kind = STATEMENT_ROW_DELETE};
    return ask_origin(apply, table, change, key, err) &&
           apply_send_statement(apply, table, form, key, NULL, note, err);
}

static bool send_row(struct apply *apply, struct target_table *table, const struct change *change,
                     struct error *err) {
    if (!check_binary(table, change->old_values, err) || !check_binary(table, change->new_values, err))
        return false;
    switch (change->kind) {
    case CHANGE_INSERT:
    case CHANGE_READ:
        return apply_send_insert(apply, table, change, change->new_values, err);
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

/* The rows of others in the same table stay. */
static bool send_delete_owned(struct apply *apply, const struct change *change,
                              const struct relation *relation, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TRUNCATE_SQL_BYTES_MAX};
    struct target_table *table = apply_table(apply, relation);
    buffer_printf(&sql, "delete from %s%s where (%s)", table->is_partitioned ? "" : "only ", table->name,
                  relation->owned_sql);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const struct pq_pipeline_note note = {.rows_expected = ROWS_ANY, .table = table, .change = change};
    return pq_pipeline_query(&apply->pipeline, sql.data, note, err);
}

/*
 * One statement for all its tables. CASCADE is not repeated: the message names every published table that
 * was truncated. pgcdc must not empty tables that only the target has; the server refuses then.
 */
static bool send_plain_truncate(struct apply *apply, const struct change *change, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TRUNCATE_SQL_BYTES_MAX};
    struct target_table *table = NULL;
    for (uint32_t i = 0; i < change->relation_count; i++) {
        if (change->relations[i]->mode != ROWS_MERGED)
            continue;
        if (change->relations[i]->owned_sql != NULL) {
            if (!send_delete_owned(apply, change, change->relations[i], err))
                return false;
            continue;
        }
        buffer_append_text(&sql, table == NULL ? "truncate " : ", ");
        table = apply_table(apply, change->relations[i]);
        buffer_printf(&sql, "%s%s", table->is_partitioned ? "" : "only ", table->name);
    }
    if (table == NULL)
        return true;
    if (change->truncate_flags & TRUNCATE_RESTART_IDENTITY)
        buffer_append_text(&sql, " restart identity");
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const struct pq_pipeline_note note = {.rows_expected = ROWS_ANY, .table = table, .change = change};
    return pq_pipeline_query(&apply->pipeline, sql.data, note, err);
}

/* Where rows stay, all that are there are marked or closed. */
static bool send_kept_truncate(struct apply *apply, const struct change *change,
                               const struct relation *relation, struct error *err) {
    struct buffer sql AUTO(buffer_release) = {.bytes_max = TRUNCATE_SQL_BYTES_MAX};
    struct target_table *table = apply_table(apply, relation);
    const struct transaction *transaction = change->transaction;
    const bool is_history = relation->mode == ROWS_HISTORY;
    buffer_printf(&sql, "update %s%s set ", table->is_partitioned ? "" : "only ", table->name);
    if (!is_history)
        buffer_printf(&sql,
                      MODE_NAME_DELETED " = true, " MODE_NAME_OP " = 't', " MODE_NAME_LSN
                                        " = '%s', " MODE_NAME_INDEX " = %" PRIu64 ", ",
                      lsn_format(transaction->commit_lsn).text, change->index);
    buffer_printf(&sql,
                  "%s = timestamptz '2000-01-01 00:00:00+00' + interval '%" PRId64 " us'"
                  " where %s",
                  is_history ? MODE_NAME_CURRENT " = false, " MODE_NAME_VALID_TO : MODE_NAME_COMMIT_TIME,
                  transaction->commit_time_us, is_history ? MODE_NAME_CURRENT : "not " MODE_NAME_DELETED);
    if (relation->owned_sql != NULL)
        buffer_printf(&sql, " and (%s)", relation->owned_sql);
    if (buffer_text(&sql) == NULL)
        return error_no_memory(err);
    const struct pq_pipeline_note note = {.rows_expected = ROWS_ANY, .table = table, .change = change};
    return pq_pipeline_query(&apply->pipeline, sql.data, note, err);
}

static bool send_truncate(struct apply *apply, const struct change *change, struct error *err) {
    for (uint32_t i = 0; i < change->relation_count; i++)
        if (change->relations[i]->mode != ROWS_MERGED &&
            !send_kept_truncate(apply, change, change->relations[i], err))
            return false;
    return send_plain_truncate(apply, change, err);
}

/*
 * The replica role disables the trigger that checks a deferrable unique constraint, so a duplicate would
 * stay. Where no other trigger or foreign key would act, the ordinary role is safe, and the constraint is
 * checked at commit, as it may have been at the source. Each switch invalidates the server's plans, so few
 * are made.
 */
static bool set_role(struct apply *apply, bool ordinary, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    if (apply->ordinary_role == ordinary)
        return true;
    apply->ordinary_role = ordinary;
    if (!ordinary)
        return pq_pipeline_query(&apply->pipeline, "set local session_replication_role = replica", ANY, err);
    return pq_pipeline_query(&apply->pipeline, "set local session_replication_role = origin", ANY, err) &&
           pq_pipeline_query(&apply->pipeline, "set constraints all deferred", ANY, err);
}

/*
 * The planner is set for our own statements (PLANNER_OURS in postgres.c). Trigger functions plan queries of
 * their own, so while changes of such tables are applied the settings are those of the database and the
 * role. Tables without triggers pay nothing.
 */
static bool set_planner(struct apply *apply, bool theirs, struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    static const char *const THEIRS[] = {
        "set local enable_seqscan to default", "set local enable_hashjoin to default",
        "set local enable_mergejoin to default", "set local plan_cache_mode to default",
        "set local max_parallel_workers_per_gather to default"};
    static const char *const OURS[] = {"set local enable_seqscan = off", "set local enable_hashjoin = off",
                                       "set local enable_mergejoin = off",
                                       "set local plan_cache_mode = force_generic_plan",
                                       "set local max_parallel_workers_per_gather = 0"};
    if (apply->planner_is_theirs == theirs)
        return true;
    apply->planner_is_theirs = theirs;
    apply->has_fired |= theirs;
    for (size_t i = 0; i < sizeof OURS / sizeof OURS[0]; i++)
        if (!pq_pipeline_query(&apply->pipeline, theirs ? THEIRS[i] : OURS[i], ANY, err))
            return false;
    return true;
}

bool apply_send_triggers_planner(struct apply *apply, struct error *err) {
    bool fired = apply->has_fired;
    bool set = !fired || set_planner(apply, true, err);
    apply->has_fired = false;
    apply->planner_is_theirs = false; /* the commit ends SET LOCAL */
    return set;
}

static bool truncates_fired(const struct apply *apply, const struct change *change) {
    for (uint32_t i = 0; change->kind == CHANGE_TRUNCATE && i < change->relation_count; i++)
        if (apply_table(apply, change->relations[i])->fires)
            return true;
    return false;
}

bool apply_send_as(struct apply *apply, const struct target_table *table, struct error *err) {
    return set_planner(apply, table != NULL && table->fires, err) &&
           set_role(apply, table != NULL && table->is_checked_late, err);
}

static bool send_change(struct apply *apply, struct target_table *table, const struct change *change,
                        struct error *err) {
    if (change->kind == CHANGE_TRUNCATE)
        return set_planner(apply, truncates_fired(apply, change), err) && send_truncate(apply, change, err);
    return table == NULL || (apply_send_as(apply, table, err) && send_row(apply, table, change, err));
}

bool apply_send_span(struct apply *apply, const struct span *span, struct error *err) {
    for (size_t i = 0; i < span->count; i++)
        if (!send_change(apply, span->tables[i], &span->changes[i], err))
            return false;
    return apply_send_as(apply, NULL, err);
}

bool apply_rows(struct apply *apply, const struct span *span, struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    if (apply_settles(apply))
        return apply_settling(apply, span, err);
    apply_forget_foreign(apply);
    if (!pq_pipeline_begin(pipeline, err) || !target_begin(apply->target, pipeline, err) ||
        !apply_send_span(apply, span, err) || !pq_pipeline_finish(pipeline, err))
        return explain_pipeline(apply->target, &pipeline->failure, err);
    apply_count_foreign(apply);
    return true;
}

bool apply_whole(struct apply *apply, const struct span *span, const struct position *until,
                 struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    if (!pq_pipeline_begin(pipeline, err) || !target_begin_whole(apply->target, pipeline, until, err))
        return false;
    apply->whole = *span;
    apply->counts_one = true;
    const bool sent = apply_send_span(apply, span, err);
    apply->counts_one = false;
    return sent;
}

bool apply_send_left_rows(struct apply *apply, const struct span *span, struct error *err) {
    for (size_t i = 0; i < span->count; i++) {
        struct target_table *table = span->tables[i];
        if (table != NULL && table->effect->by_rows && !send_row(apply, table, &span->changes[i], err))
            return false;
    }
    return true;
}
