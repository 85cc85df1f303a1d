/* SPDX-License-Identifier: Apache-2.0 */
/*
 * skip.c - the file's text.
 *
 *     pgcdc skip 1
 *     lsn 0/16B3748
 *     behind 0/16B3700
 *     end
 */
#include "cdc/skip.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static void file_path(char path[static PATH_MAX], const char *directory, const char *pipeline,
                      const char *sink, const char *suffix) {
    snprintf(path, PATH_MAX, "%s/%s.%s.skip%s", directory, pipeline, sink, suffix);
}

void skip_read(const char *directory, const char *pipeline, const char *sink, struct skip *ret_skip) {
    char path[PATH_MAX], lsn[32], behind[32], end[8];
    struct skip skip;
    *ret_skip = (struct skip){0};
    file_path(path, directory, pipeline, sink, "");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fscanf(file, "pgcdc skip 1 lsn %31s behind %31s %7s", lsn, behind, end) == 3 &&
        strcmp(end, "end") == 0 && lsn_parse(lsn, &skip.lsn) && lsn_parse(behind, &skip.behind_lsn))
        *ret_skip = skip;
    fclose(file);
}

static bool print_skip(const char *path, const struct skip *skip) {
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file, "pgcdc skip 1\nlsn %s\nbehind %s\nend\n", lsn_format(skip->lsn).text,
            lsn_format(skip->behind_lsn).text);
    const bool written = fflush(file) == 0 && ferror(file) == 0 && fsync(fileno(file)) == 0;
    return fclose(file) == 0 && written;
}

static bool sync_directory(const char *directory, struct error *err) {
    int fd = open(directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return error_errno(err, "%s", directory);
    const bool good = fsync(fd) == 0 ? true : error_errno(err, "%s", directory);
    close(fd);
    return good;
}

bool skip_write(const char *directory, const char *pipeline, const char *sink, const struct skip *skip,
                struct error *err) {
    char path[PATH_MAX], temporary[PATH_MAX];
    file_path(path, directory, pipeline, sink, "");
    file_path(temporary, directory, pipeline, sink, ".new");
    if (!print_skip(temporary, skip))
        return error_errno(err, "%s", temporary);
    if (rename(temporary, path) != 0)
        return error_errno(err, "%s", path);
    return sync_directory(directory, err);
}

bool skip_remove(const char *directory, const char *pipeline, const char *sink, struct error *err) {
    static const char *const SUFFIXES[] = {".new", ""};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
        file_path(path, directory, pipeline, sink, SUFFIXES[i]);
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return error_errno(err, "%s", path);
    }
    return true;
}

bool skip_is_ahead(const struct skip *skip, const struct position *position) {
    if (skip->lsn == 0 || position->index != 0)
        return false;
    return skip->behind_lsn < skip->lsn ? position->end_lsn < skip->lsn : position->end_lsn == skip->lsn;
}

bool skip_is_passed(const struct skip *skip, lsn_t end_lsn) {
    return end_lsn > skip->lsn || (skip->behind_lsn < skip->lsn && end_lsn == skip->lsn);
}

bool skip_is(const struct skip *skip, const struct transaction *transaction) {
    const bool ends_there = transaction->end_lsn != 0 && transaction->end_lsn == skip->lsn;
    return transaction->commit_lsn == skip->lsn || (skip->behind_lsn < skip->lsn && ends_there);
}
