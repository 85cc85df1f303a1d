/* SPDX-License-Identifier: Apache-2.0 */
/*
 * explain.c - what an operator is told of a change that does not fit: which table, which columns are its key, which
 * transaction, what the server said, and what to do. Never a value.
 */
#include <inttypes.h>
#include <string.h>

#include "sinks/postgres/apply.h"

static const struct remedy {
    const char *sqlstate; /* a prefix of it */
    const char *text;
} REMEDIES[] = {
    {"23505", "the target has that row, or another with its unique value, already: take it out"},
    {"23P01", "a row that only the target has stands in the way: take it out"},
    {"23502", "drop the not null of that column, or give it a default and leave it out of the publication"},
    {"23503", "the row it refers to is not on the target: replicate that table, too, or drop the constraint"},
    {"23514", "drop the check on the target, or replace it with the source's"},
    {"22", "the value does not fit the target's column: give it the type that it has at the source"},
    {"42501", "grant the right to the sink's role"},
    {"42P10", "compare the table with the source's"},
    {"0A000", "the target does not do that here: compare the table with the source's"},
};

static const char GENERAL_REMEDY[] = "compare the table with the source's";

static const char *count_remedy(const struct change *change, uint64_t rows) {
    if (rows > 1)
        return "the key is not unique on the target: make it a primary key";
    if (change->kind == CHANGE_INSERT)
        return "a trigger or a rule of the target took the row away: drop it";
    return "the row is not on the target, somebody changed it there or the tables differed from the start: "
           "compare them with pgcdc verify and put the row back";
}

static const char *remedy_of(const struct change *change, const struct pq_pipeline_failure *failure,
                             const struct error *err) {
    if (failure != NULL && failure->is_count)
        return count_remedy(change, failure->rows);
    for (size_t i = 0; i < sizeof REMEDIES / sizeof *REMEDIES; i++)
        if (strncmp(err->sqlstate, REMEDIES[i].sqlstate, strlen(REMEDIES[i].sqlstate)) == 0)
            return REMEDIES[i].text;
    return GENERAL_REMEDY;
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
        error_remedy(err, "%s; then start again", remedy_of(change, failure, err));
    return error_wrap(err, "%s %s (%s), change %" PRIu64 " of the transaction that commits at %s",
                      verb_of(change), table->name, table->key_names, change->index,
                      lsn_format(transaction_named_lsn(change->transaction)).text);
}
