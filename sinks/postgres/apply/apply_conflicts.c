/* SPDX-License-Identifier: Apache-2.0 */
/*
 * apply_conflicts.c - changes whose row is missing or already exists, settled by the options on_missing and
 * on_exists.
 *
 * A span is first applied strictly, after a savepoint. When that fails on such a row, everything since the
 * savepoint is rolled back and the span is applied in pieces. Pieces grow while they succeed and shrink to
 * the one change that fails. Other statements then settle that change. They are strict too: an unexpected
 * row stops the pipeline with the first error. So nothing is guessed, and a span without conflicts costs one
 * savepoint.
 */
#include <assert.h>
#include <string.h>

#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/apply/clashes.h"
#include "sinks/postgres/apply/row_change.h"

#define UNIQUE_VIOLATION "23505"

typedef bool send_function(struct apply *apply, const struct span *span, struct error *err);

/* ---- attempts ---- */

static bool send_attempt(struct apply *apply, const struct span *span, send_function *send,
                         struct error *err) {
    struct pq_pipeline *pipeline = &apply->pipeline;
    apply_forget_foreign(apply);
    if (!pq_pipeline_begin(pipeline, err) || !target_begin(apply->target, pipeline, err) ||
        !apply_send_savepoint(apply, err) || !send(apply, span, err) || !pq_pipeline_finish(pipeline, err))
        return false;
    apply_count_foreign(apply);
    return true;
}

/* Can this failure be a conflict? Any other is reported as it is, and nothing follows it. */
static bool is_about_row(const struct pq_pipeline_failure *failure, const struct error *err) {
    return err->kind == ERROR_DATA && !failure->note.is_position && failure->note.change != NULL &&
           failure->note.table != NULL && (failure->is_count || strcmp(err->sqlstate, UNIQUE_VIOLATION) == 0);
}

enum attempt_end { ATTEMPT_DONE, ATTEMPT_UNDONE, ATTEMPT_FAILED };

/* UNDONE: it failed, *ret_failure and *err say why, and the session is as before. */
static enum attempt_end attempt(struct apply *apply, const struct span *span, send_function *send,
                                struct pq_pipeline_failure *ret_failure, struct error *err) {
    struct error broken;
    if (send_attempt(apply, span, send, err))
        return ATTEMPT_DONE;
    *ret_failure = apply->pipeline.failure;
    if (!is_about_row(ret_failure, err) && !apply_dead_takes(apply, ret_failure, err))
        return ATTEMPT_FAILED;
    if (apply_undo(apply, &broken))
        return ATTEMPT_UNDONE;
    *err = broken;
    *ret_failure = (struct pq_pipeline_failure){0};
    return ATTEMPT_FAILED;
}

/* ---- which conflict it is ---- */

/*
 * A trigger or a rule of the target may have suppressed the change; then it is unknown whether the row
 * existed.
 */
bool apply_is_missing(const struct pq_pipeline_failure *failure) {
    const struct target_table *table = failure->note.table;
    const bool is_update = failure->note.change->kind == CHANGE_UPDATE;
    return failure->is_count && failure->rows == 0 && !table->has_rules &&
           table->takers[is_update ? 1 : 2] == NULL;
}

static bool find_kind(const struct pq_pipeline_failure *failure, enum conflict_kind *ret_kind) {
    switch (failure->note.change->kind) {
    case CHANGE_INSERT:
        *ret_kind = CONFLICT_INSERT_EXISTS;
        return !failure->is_count;
    case CHANGE_UPDATE:
        *ret_kind = failure->is_count ? CONFLICT_UPDATE_MISSING : CONFLICT_UPDATE_EXISTS;
        return !failure->is_count || apply_is_missing(failure);
    case CHANGE_DELETE:
        *ret_kind = CONFLICT_DELETE_MISSING;
        return apply_is_missing(failure);
    case CHANGE_READ:
    case CHANGE_TRUNCATE:
    case CHANGE_BEGIN:
    case CHANGE_COMMIT:
    case CHANGE_MESSAGE:
        break;
    }
    return false;
}

/* ---- what is done about it ---- */

/* The new row as far as the source sent it: a value that an update left unchanged may be in the old row. */
static const struct value *known_values(struct apply *apply, const struct change *change) {
    const uint32_t count = change->relation->column_count;
    struct value *values = arena_alloc(&apply->conflict_arena, ((size_t) count + 1) * sizeof *values);
    for (uint32_t i = 0; values != NULL && i < count; i++) {
        const bool has_old = change->old_kind == OLD_FULL ||
                             (change->old_kind == OLD_KEY && change->relation->columns[i].is_key);
        values[i] = change->new_values[i].kind == VALUE_UNCHANGED && has_old ? change->old_values[i]
                                                                             : change->new_values[i];
    }
    return values;
}

/* The first column that must be written and whose value is unknown, or NULL. */
static const char *unknown_column(const struct target_table *table, const struct value *values) {
    for (uint32_t i = 0; i < table->column_count; i++)
        if (table->columns[i].is_written && values[i].kind == VALUE_UNCHANGED)
            return table->columns[i].name;
    return NULL;
}

static bool key_is_known(const struct target_table *table, const struct value *values) {
    for (uint32_t i = 0; i < table->key_count; i++)
        if (values[table->key_columns[i]].kind == VALUE_UNCHANGED)
            return false;
    return table->has_key;
}

static bool send_insert(struct apply *apply, const struct span *one, struct error *err) {
    struct target_table *table = one->tables[0];
    const struct value *values = known_values(apply, one->changes);
    return values == NULL ? error_no_memory(err)
                          : apply_send_as(apply, table, err) &&
                                apply_send_insert(apply, table, one->changes, values, err) &&
                                apply_send_as(apply, NULL, err);
}

/* The row with the new key becomes the new row. Its key is set too: equal keys may differ in bytes. */
static bool send_overwrite(struct apply *apply, const struct span *one, struct error *err) {
    struct target_table *table = one->tables[0];
    const struct pq_pipeline_note note = {.change = one->changes};
    const struct value *values = known_values(apply, one->changes);
    struct column_set written;
    bool replace = false;
    if (values == NULL)
        return error_no_memory(err);
    column_set_init(&written, table->column_count);
    for (uint32_t i = 0; i < table->column_count; i++) {
        const struct target_column *column = &table->columns[i];
        replace |= column->is_always && !column->is_key;
        if (column->is_written)
            column_set_add(&written, i);
    }
    for (uint32_t i = 0; !replace && i < table->column_count; i++)
        if (table->columns[i].is_always && column_set_has(&written, i))
            column_set_remove(&written, i);
    const struct statement_form form = {.kind = replace ? STATEMENT_ROW_REPLACE : STATEMENT_ROW_UPDATE,
                                        .written = &written};
    return apply_send_as(apply, table, err) &&
           apply_send_statement(apply, table, form, values, values, note, err) &&
           apply_send_as(apply, NULL, err);
}

/* Deletes the row that has the new key, then applies the update as it is. */
static bool send_move_over(struct apply *apply, const struct span *one, struct error *err) {
    struct target_table *table = one->tables[0];
    const struct pq_pipeline_note note = {.change = one->changes};
    const struct statement_form form = {.kind = STATEMENT_ROW_DELETE};
    const struct value *values = known_values(apply, one->changes);
    return values == NULL ? error_no_memory(err)
                          : apply_send_as(apply, table, err) &&
                                apply_send_statement(apply, table, form, values, NULL, note, err) &&
                                apply_send_span(apply, one, err);
}

/* ---- one change ---- */

struct conflict {
    enum conflict_kind kind;
    bool is_skipped;     /* only the conflict is counted */
    send_function *send; /* NULL: the pipeline stops */
};

static void decide_missing(struct apply *apply, const struct span *one, struct conflict *conflict,
                           struct error *err) {
    const enum on_missing policy = apply->target->policy.on_missing;
    if (policy == ON_MISSING_STOP)
        return;
    if (one->changes->relation->is_unclear || one->changes->relation->certainty == KEY_DOUBTFUL) {
        error_remedy(err,
                     "on_missing does not settle it: the key has or had a generated column that the source "
                     "does not send, so the row may be there with its old values; update that row on the "
                     "target, then start again");
        return;
    }
    conflict->is_skipped = policy == ON_MISSING_IGNORE || conflict->kind == CONFLICT_DELETE_MISSING;
    if (conflict->is_skipped)
        return;
    const struct value *values = known_values(apply, one->changes);
    const char *unknown = values == NULL ? NULL : unknown_column(one->tables[0], values);
    if (unknown != NULL)
        error_remedy(err,
                     "on_missing: insert cannot build the row: the source did not send column %s, which the "
                     "update left unchanged; restore the row, or set on_missing: ignore; then start again",
                     unknown);
    else if (values != NULL)
        conflict->send = send_insert;
}

static void decide_exists(struct apply *apply, const struct span *one, struct conflict *conflict,
                          struct error *err) {
    const struct change *change = one->changes;
    const struct target_table *table = one->tables[0];
    const struct value *values = known_values(apply, change);
    if (apply->target->policy.on_exists == ON_EXISTS_STOP || values == NULL || !key_is_known(table, values))
        return;
    if (change->relation->certainty != KEY_CERTAIN)
        error_remedy(err,
                     "on_exists does not settle it: the key may have had a generated column that the source "
                     "does not send, so the two may be different rows; delete that row on the target, then "
                     "start again");
    else if (change->kind == CHANGE_INSERT)
        conflict->send = send_overwrite;
    else if (row_change_moves_key(table, change))
        conflict->send = send_move_over;
}

static struct conflict apply_conflicts_decide(struct apply *apply, const struct span *one,
                                              const struct pq_pipeline_failure *failure, struct error *err) {
    struct conflict conflict = {0};
    if (!find_kind(failure, &conflict.kind))
        return conflict;
    if (failure->is_count)
        decide_missing(apply, one, &conflict, err);
    else
        decide_exists(apply, one, &conflict, err);
    return conflict;
}

static void count(struct apply *apply, enum conflict_kind kind) {
    apply->target->conflicts.pending[kind]++;
    FAULT_POINT("postgres-after-resolve");
}

/*
 * The missing row of an update was to be inserted, but a row with its new key exists. *failure and *err
 * belong to the insert.
 */
static bool overwrite_instead(struct apply *apply, const struct span *one,
                              struct pq_pipeline_failure *failure, struct error *err) {
    struct pq_pipeline_failure second;
    struct error second_err;
    if (failure->is_count || apply->target->policy.on_exists == ON_EXISTS_STOP || !one->tables[0]->has_key)
        return false;
    const enum attempt_end end = attempt(apply, one, send_overwrite, &second, &second_err);
    if (end == ATTEMPT_DONE)
        count(apply, CONFLICT_UPDATE_EXISTS);
    if (end == ATTEMPT_FAILED) {
        *failure = second;
        *err = second_err;
    }
    return end == ATTEMPT_DONE;
}

/*
 * No policy settles it. *failure and *err: how the change failed; it is undone, unless the session is
 * broken.
 */
static bool give_up(struct apply *apply, const struct pq_pipeline_failure *failure, struct error *err) {
    return apply_dead_takes(apply, failure, err) ? apply_set_aside(apply, failure, err)
                                                 : explain_pipeline(apply->target, failure, err);
}

/* *failure and *err: how the change failed. They are reported when it cannot be settled. */
static bool apply_conflicts_settle(struct apply *apply, const struct span *one,
                                   const struct pq_pipeline_failure *failure, struct error *err) {
    struct pq_pipeline_failure second;
    struct error second_err;
    const struct conflict conflict = apply_conflicts_decide(apply, one, failure, err);
    if (!conflict.is_skipped && conflict.send == NULL)
        return give_up(apply, failure, err);
    if (!conflict.is_skipped) {
        const enum attempt_end end = attempt(apply, one, conflict.send, &second, &second_err);
        if (end == ATTEMPT_FAILED || (end == ATTEMPT_UNDONE && conflict.kind == CONFLICT_UPDATE_MISSING &&
                                      !overwrite_instead(apply, one, &second, &second_err))) {
            *err = second_err;
            return give_up(apply, &second, err);
        }
        if (end == ATTEMPT_UNDONE && conflict.kind != CONFLICT_UPDATE_MISSING)
            return give_up(apply, failure, err);
    }
    count(apply, conflict.kind);
    return true;
}

/* ---- a span ---- */

static size_t place_of(const struct span *span, const struct change *change) {
    for (size_t i = 0; i < span->count; i++)
        if (&span->changes[i] == change)
            return i;
    return 0;
}

bool apply_settling(struct apply *apply, const struct span *span, struct error *err) {
    size_t piece = span->count;
    for (size_t first = 0; first < span->count;) {
        struct pq_pipeline_failure failure;
        size_t together = 0;
        if (!apply_dead_find(apply, span, first, piece, &together, err))
            return false;
        if (together == 0) {
            first++;
            continue;
        }
        const struct span part = {
            .changes = span->changes + first, .tables = span->tables + first, .count = together};
        arena_reset(&apply->conflict_arena);
        const enum attempt_end end = attempt(apply, &part, apply_send_span, &failure, err);
        if (end == ATTEMPT_FAILED)
            return explain_pipeline(apply->target, &failure, err);
        if (end == ATTEMPT_DONE) {
            if (!apply_dead_end(apply, &part, err))
                return false;
            first += part.count;
            piece = part.count < piece ? piece : 2 * part.count;
        } else if (part.count > 1) {
            const size_t place = place_of(&part, failure.note.change);
            piece = place > 0 ? place : 1;
        } else {
            if (!apply_conflicts_settle(apply, &part, &failure, err))
                return false;
            first++;
        }
    }
    return true;
}

/* ---- what stops ---- */

static bool clashes_often(struct apply *apply, const struct pq_pipeline_failure *failure) {
    struct error ignored;
    uint32_t count = 0;
    if (apply->pipeline.active)
        (void) !pq_pipeline_finish(&apply->pipeline, &ignored);
    return session_execute(&apply->target->session, "rollback", &ignored) &&
           clashes_count(&apply->target->session, failure->note.table, failure->note.change, &count,
                         &ignored) &&
           count > 1;
}

bool apply_name_conflict(struct apply *apply, struct error *err) {
    const struct pq_pipeline_failure failure = apply->pipeline.failure;
    enum conflict_kind kind;
    if (!is_about_row(&failure, err) || failure.note.change->transaction->commit_lsn != err->commit_lsn ||
        !find_kind(&failure, &kind))
        return false;
    if (!failure.is_count && clashes_often(apply, &failure))
        kind = CONFLICT_MULTIPLE_UNIQUE_CONFLICTS;
    return error_conflict(err, conflict_kind_name(kind));
}
