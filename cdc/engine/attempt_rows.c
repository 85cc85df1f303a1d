/* SPDX-License-Identifier: Apache-2.0 */
/*
 * attempt_rows.c - may a sink go on with this reader, when rows of a copy are among an archive's changes?
 *
 * A sink that has read the archive from its beginning gets each row in the end, so it cannot leave the
 * archive before that. One that has its rows from elsewhere cannot begin there before that.
 */
#include "cdc/base/start_over.h"
#include "cdc/engine/attempt.h"

static bool refuse_part(const struct attempt *attempt, size_t i, struct error *err) {
    error_set(
        err, ERROR_REFUSE,
        "sink %s is at %s, and gets the rows of its tables out of an archive: not all of them are there "
        "yet",
        attempt->runners[i].sink->config->name, lsn_format(attempt->positions[i].end_lsn).text);
    return error_remedy(err, "let it read that archive until the copy is complete, or " START_OVER);
}

static bool refuse_hole(const struct attempt *attempt, lsn_t lsn, lsn_t whole_lsn, struct error *err) {
    error_set(
        err, ERROR_REFUSE,
        "%s %s: at %s the copy of its tables is not complete, so it lacks changes of rows that come later",
        attempt->reader->ops->name, attempt->pipeline->config->source.archive, lsn_format(lsn).text);
    if (whole_lsn != 0)
        return error_remedy(
            err, "let the sink go on with the source that it had, at least to %s, where the copy is complete",
            lsn_format(whole_lsn).text);
    return error_remedy(err, "let the sink go on with the source that it had, until the copy is complete");
}

/* A sink with its rows from elsewhere has those of each chunk up to its position. */
static bool check_rows_of(struct attempt *attempt, size_t i, struct error *err) {
    struct reader *reader = attempt->reader;
    struct position *position = &attempt->positions[i];
    bool is_whole = true;
    lsn_t whole_lsn = 0;
    if (reader->ops->is_whole == NULL)
        return !position_lacks_rows(position) || refuse_part(attempt, i, err);
    if (position_lacks_rows(position))
        return true;
    if (!reader->ops->is_whole(reader, position->end_lsn, &is_whole, &whole_lsn, err))
        return false;
    if (!is_whole)
        return refuse_hole(attempt, position->end_lsn, whole_lsn, err);
    if (position->commit_lsn == 0)
        *position = position_after_rows(position, position->end_lsn, 0);
    return true;
}

bool attempt_check_rows(struct attempt *attempt, struct error *err) {
    for (size_t i = 0; i < attempt->runner_count; i++)
        if (!check_rows_of(attempt, i, err))
            return false;
    return true;
}
