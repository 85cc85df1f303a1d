/* SPDX-License-Identifier: Apache-2.0 */
/*
 * postgres_commit.c - the end of a group: its position and COMMIT, and whether to wait for the disk.
 */
#include "sinks/postgres/postgres_commit.h"

#include <assert.h>

#include "cdc/base/fault.h"
#include "sinks/postgres/apply/apply.h"
#include "sinks/postgres/postgres.h"

static bool send_commit(struct postgres_sink *postgres, const struct position *position, bool waits,
                        struct error *err) {
    static const struct pq_pipeline_note ANY = {.rows_expected = ROWS_ANY};
    struct pq_pipeline *pipeline = &postgres->apply->pipeline;
    return apply_send_release(postgres->apply, err) &&
           conflict_counts_send(&postgres->target.conflicts, postgres->target.sink.config, pipeline, err) &&
           position_row_send_store(&postgres->target.row, pipeline, position, !waits, err) &&
           apply_send_triggers_planner(postgres->apply, err) &&
           pq_pipeline_query(pipeline, "commit", ANY, err);
}

/* A row sent earlier may have failed, and a deferred constraint is checked only now. */
static bool explain_commit(const struct postgres_sink *postgres, const struct pq_pipeline_failure *failure,
                           const struct position *position, struct error *err) {
    explain_pipeline(&postgres->target, failure, err);
    if (err->kind != ERROR_DATA || failure->note.change != NULL)
        return false;
    explain_commit_remedy(err);
    return error_wrap(err, "commit of the transactions up to %s", lsn_format(position->end_lsn).text);
}

/* Called after the commit: the conflicts are as durable as the rows. */
static void tell_conflicts(struct postgres_sink *postgres) {
    for (size_t i = 0; i < CONFLICT_KINDS; i++)
        if (postgres->target.conflicts.pending[i] > 0)
            atomic_fetch_add_explicit(&postgres->target.sink.conflicts[i],
                                      postgres->target.conflicts.pending[i], memory_order_relaxed);
    postgres->target.conflicts = (struct conflict_counts){0};
}

/* waits: for the disk. */
static bool end_transaction(struct postgres_sink *postgres, const struct position *position, bool waits,
                            struct error *err) {
    struct pq_pipeline *pipeline = &postgres->apply->pipeline;
    FAULT_POINT("postgres-before-commit");
    if (!pq_pipeline_begin(pipeline, err))
        return false;
    if (!send_commit(postgres, position, waits, err) || !pq_pipeline_finish(pipeline, err))
        return explain_commit(postgres, &pipeline->failure, position, err);
    postgres->target.in_transaction = false;
    postgres->target.whole_failures.anywhere = false;
    FAULT_POINT("postgres-after-commit");
    tell_conflicts(postgres);
    return true;
}

/* Is an open pipeline a transaction by itself, whose end is still to come? */
static bool has_whole(const struct postgres_sink *postgres) {
    return postgres->apply->pipeline.active;
}

/*
 * A statement that counts its rows may be refused where the plain one is accepted. ERROR_DATA makes the
 * engine apply the transactions one by one, by the plain path.
 */
static void note_whole_failure(struct postgres_sink *postgres, struct error *err) {
    struct whole_failures *failures = &postgres->target.whole_failures;
    const struct target_table *table = postgres->apply->pipeline.failure.note.table;
    if (err->kind == ERROR_CONFIG)
        err->kind = ERROR_DATA;
    if (err->kind != ERROR_DATA)
        return;
    if (table != NULL)
        failures->tables[failures->count++ % WHOLE_FAILURES_MAX] = table->oid;
    else
        failures->anywhere = true;
}

/*
 * A conflict that a policy may settle undid everything. The changes are still valid, so apply them again by
 * the plain path.
 */
static bool settle_whole(struct postgres_sink *postgres, const struct position *position, bool waits,
                         struct error *err) {
    struct apply *apply = postgres->apply;
    statements_forget(&apply->statements);
    return apply_rows(apply, &apply->whole, err) && end_transaction(postgres, position, waits, err);
}

static bool may_settle_whole(const struct postgres_sink *postgres, const struct error *err) {
    const struct pq_pipeline_note *note = &postgres->apply->pipeline.failure.note;
    return apply_settles(postgres->apply) && err->kind == ERROR_DATA && note->change != NULL &&
           !note->is_position;
}

static bool end_whole(struct postgres_sink *postgres, const struct position *position, bool waits,
                      struct error *err) {
    struct pq_pipeline *pipeline = &postgres->apply->pipeline;
    if (position->end_lsn != postgres->target.whole.end_lsn)
        return error_set(err, ERROR_SYSTEM, "target: a commit up to %s, but one up to %s was expected",
                         lsn_format(position->end_lsn).text, lsn_format(postgres->target.whole.end_lsn).text);
    FAULT_POINT("postgres-before-whole");
    if (!pq_pipeline_finish(pipeline, err)) {
        if (may_settle_whole(postgres, err))
            return settle_whole(postgres, position, waits, err);
        note_whole_failure(postgres, err);
        return explain_commit(postgres, &pipeline->failure, position, err);
    }
    FAULT_POINT("postgres-after-whole");
    return true;
}

static bool end_durably(struct postgres_sink *postgres, const struct position *position, struct error *err) {
    if (postgres->target.in_transaction)
        return end_transaction(postgres, position, true, err);
    if (has_whole(postgres)) {
        if (!end_whole(postgres, position, true, err))
            return false;
        if (!postgres->target.durability.is_early)
            return true;
    }
    return position_row_store(&postgres->target.row, &postgres->target.session, position, err);
}

static bool commit_durably(struct postgres_sink *postgres, const struct position *position,
                           struct error *err) {
    if (!end_durably(postgres, position, err))
        return false;
    durability_note_waited(&postgres->target.durability, position);
    return true;
}

/* A commit without rows delays no reader, so it may wait for the disk. */
static bool is_durable_at_once(const struct postgres_sink *postgres) {
    return !postgres->target.durability.is_early ||
           (!postgres->target.in_transaction && !has_whole(postgres));
}

/* Commits without waiting for the disk: readers see the rows at once. */
static bool commit_early(struct postgres_sink *postgres, const struct position *position, struct error *err) {
    if (!(postgres->target.in_transaction ? end_transaction(postgres, position, false, err)
                                          : end_whole(postgres, position, false, err)))
        return false;
    durability_note_early(&postgres->target.durability, position);
    return true;
}

bool postgres_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                     struct position *ret_durable, struct error *err) {
    struct postgres_sink *postgres = (struct postgres_sink *) sink;
    if (wait == COMMIT_ASK)
        return durability_ask(&postgres->target.durability, &postgres->target.session, ret_durable, err);
    assert(position_exists(position));
    if (wait == COMMIT_VISIBLE && !is_durable_at_once(postgres)) {
        *ret_durable = postgres->target.durability.settled;
        return commit_early(postgres, position, err);
    }
    *ret_durable = *position;
    return commit_durably(postgres, position, err);
}
