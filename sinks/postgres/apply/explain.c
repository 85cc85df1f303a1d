/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.c - the message for a change that cannot be applied: table, key columns, transaction, the server's
 * error and the remedy. Never a value.
 */
#include <inttypes.h>
#include <string.h>

#include "sinks/postgres/apply/apply.h"

#define TABLE_IN_USE "55006"

static const struct remedy {
    const char *sqlstate; /* or a prefix of one */
    const char *text;
} REMEDIES[] = {
    {"23505", "the target already has this row, or another with the same unique value: delete it there, or, "
              "when it has the row's key, set on_exists: overwrite"},
    {"PC001",
     "two sources have a row with this key: delete one of them at its source, or let the rule say by "
     "on_clash which one stays"},
    {"PC002",
     "the settled table has a row of its own with this key: delete it there, or give it another key"},
    {"23P01", "a row that only the target has conflicts with it: delete it there"},
    {"23502", "drop the not-null constraint of that column on the target"},
    {"23503", "the row it refers to is missing on the target: replicate that table too, or drop "
              "the constraint"},
    {"23514", "drop the check constraint on the target, or replace it with the source's"},
    {"22P05",
     "the database's encoding does not have a character of the row: run `pgcdc drop` and point the sink at a "
     "database of encoding UTF8, which gets a new copy"},
    {"22021", "the row has bytes that are not valid in the database's encoding: run `pgcdc drop`, "
              "correct them at the source or point the sink at a database of encoding SQL_ASCII, "
              "which gets a new copy"},
    {"22", "the value does not fit the target's column: give it the type that it has at the source"},
    {"42501", "grant this right to the sink's role"},
    {"42P10", "compare the table with the source's"},
    {"0A000", "the target does not support this operation: compare the table with the source's"},
};

static const char GENERAL_REMEDY[] = "compare the table with the source's";

static const char GONE[] =
    "the row is missing on the target: it was changed there, or the tables differed from the "
    "start; compare them with pgcdc verify and restore the row, whose key pgcdc why shows, or set "
    "on_missing: ignore";

/* Triggers that fire for this change and may have suppressed it, or NULL. */
static const char *takers_of(const struct target_table *table, const struct change *change) {
    switch (change->kind) {
    case CHANGE_UPDATE:
        return table->takers[1];
    case CHANGE_DELETE:
        return table->takers[2];
    default:
        return table->takers[0];
    }
}

/*
 * No row was found to change, or a trigger or rule of the target suppressed the change; for inserts only the
 * latter is possible.
 */
static void remedy_none(const struct target_table *table, const struct change *change, struct error *err) {
    const char *takers = takers_of(table, change);
    bool is_insert = change->kind == CHANGE_INSERT || change->kind == CHANGE_READ;
    if (takers != NULL && is_insert)
        error_remedy(err,
                     "trigger %s of the target suppresses inserted rows: drop it there; then start again",
                     takers);
    else if (takers != NULL)
        error_remedy(err,
                     "trigger %s of the target may suppress such a change, which replication "
                     "cannot allow: drop it there; or %s; then start again",
                     takers, GONE);
    else if (is_insert)
        error_remedy(err, "a trigger or a rule of the target suppressed the row: drop it; then start again");
    else if (table->has_rules)
        error_remedy(
            err, "a rule of the target may suppress such a change: drop it there; or %s; then start again",
            GONE);
    else
        error_remedy(err, "%s; then start again", GONE);
}

static const char *sqlstate_remedy(const struct error *err) {
    for (size_t i = 0; i < sizeof REMEDIES / sizeof *REMEDIES; i++)
        if (strncmp(err->sqlstate, REMEDIES[i].sqlstate, strlen(REMEDIES[i].sqlstate)) == 0)
            return REMEDIES[i].text;
    return GENERAL_REMEDY;
}

static void remedy(const struct target_table *table, const struct change *change,
                   const struct pq_pipeline_failure *failure, struct error *err) {
    if (failure == NULL || !failure->is_count)
        error_remedy(err, "%s; then start again", sqlstate_remedy(err));
    else if (failure->rows > 1 && change->relation->certainty != KEY_CERTAIN)
        change_remedy_unknown(change->relation, err);
    else if (failure->rows > 1)
        error_remedy(err, "the key is not unique on the target: delete the surplus rows, and make it a "
                          "primary key; then start again");
    else
        remedy_none(table, change, err);
}

void explain_commit_remedy(struct error *err) {
    if (err->kind == ERROR_DATA && err->remedy[0] == '\0')
        error_remedy(err, "%s; then start again", sqlstate_remedy(err));
}

static const char *verb_of(const struct change *change) {
    switch (change->kind) {
    case CHANGE_INSERT:
    case CHANGE_READ:
        return "insert into";
    case CHANGE_UPDATE:
        return "update of";
    case CHANGE_DELETE:
        return "delete from";
    case CHANGE_TRUNCATE:
        return "truncate of";
    case CHANGE_BEGIN:
    case CHANGE_COMMIT:
    case CHANGE_MESSAGE:
        break;
    }
    return "change of";
}

bool explain_failure(const struct target_table *table, const struct change *change,
                     const struct pq_pipeline_failure *failure, struct error *err) {
    if (err->kind != ERROR_DATA && err->kind != ERROR_CONFIG)
        return false;
    if (err->remedy[0] == '\0')
        remedy(table, change, failure, err);
    if (change->transaction != NULL)
        error_transaction(err, change->transaction->commit_lsn);
    return error_wrap(err, "%s %s (%s), change %" PRIu64 " of the transaction that commits at %s",
                      verb_of(change), table->name, table->key_names, change->index,
                      lsn_format(transaction_named_lsn(change->transaction)).text);
}

bool explain_pipeline(const struct target *target, const struct pq_pipeline_failure *failure,
                      struct error *err) {
    if (failure->note.is_position)
        return position_row_judge(&target->row, err);
    /*
     * TRUNCATE refuses a table with deferred triggers of the same target transaction, which may hold several
     * source transactions. ERROR_DATA makes the engine apply them one by one.
     */
    if (strcmp(err->sqlstate, TABLE_IN_USE) == 0)
        err->kind = ERROR_DATA;
    if (failure->note.change == NULL || failure->note.table == NULL)
        return false;
    return explain_failure(failure->note.table, failure->note.change, failure, err);
}
