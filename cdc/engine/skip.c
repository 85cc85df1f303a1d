/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip.c - the file's text.
 *
 *     pgcdc skip 2
 *     commit 0/16B3700
 *     lsn 0/16B3748
 *     end
 */
#include "cdc/engine/skip.h"
#include "cdc/base/file.h"

#include <stdio.h>
#include <string.h>

#include "cdc/engine/state_file.h"

#define KIND "skip"

void skip_read(const char *directory, const char *pipeline, const char *sink, struct skip *ret_skip) {
    const struct state_file of = state_file_of(directory, pipeline, sink, KIND);
    char commit_lsn[32], lsn[32], end[8];
    struct skip skip;
    *ret_skip = (struct skip){0};
    FILE *file = fopen(of.path, "re");
    if (file == NULL)
        return;
    if (fscanf(file, "pgcdc skip 2 commit %31s lsn %31s %7s", commit_lsn, lsn, end) == 3 &&
        strcmp(end, "end") == 0 && lsn_parse(commit_lsn, &skip.commit_lsn) && lsn_parse(lsn, &skip.lsn))
        *ret_skip = skip;
    fclose(file);
}

/* Synced: the operator was told that the transaction will be skipped. */
bool skip_write(const char *directory, const char *pipeline, const char *sink, const struct skip *skip,
                struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, sink, KIND);
    char text[128];
    snprintf(text, sizeof text, "pgcdc skip 2\ncommit %s\nlsn %s\nend\n", lsn_format(skip->commit_lsn).text,
             lsn_format(skip->lsn).text);
    return state_file_write(&file, slice_of(text), true, err) && state_file_place(&file, err) &&
           directory_sync(directory, err);
}

bool skip_remove(const char *directory, const char *pipeline, const char *sink, struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, sink, KIND);
    return state_file_remove(&file, err);
}

bool skip_is_ahead(const struct skip *skip, const struct position *position) {
    return skip->commit_lsn != 0 && !position_has_begin(position, skip->commit_lsn);
}

bool skip_is(const struct skip *skip, const struct transaction *transaction) {
    return skip->commit_lsn != 0 && transaction->commit_lsn == skip->commit_lsn;
}
