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
    char path[PATH_MAX], commit_lsn[32], lsn[32], end[8];
    struct skip skip;
    *ret_skip = (struct skip){0};
    file_path(path, directory, pipeline, sink, "");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fscanf(file, "pgcdc skip 2 commit %31s lsn %31s %7s", commit_lsn, lsn, end) == 3 &&
        strcmp(end, "end") == 0 && lsn_parse(commit_lsn, &skip.commit_lsn) && lsn_parse(lsn, &skip.lsn))
        *ret_skip = skip;
    fclose(file);
}

static bool print_skip(const char *path, const struct skip *skip) {
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file, "pgcdc skip 2\ncommit %s\nlsn %s\nend\n", lsn_format(skip->commit_lsn).text,
            lsn_format(skip->lsn).text);
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
    return skip->commit_lsn != 0 && !position_has_begin(position, skip->commit_lsn);
}

bool skip_is(const struct skip *skip, const struct transaction *transaction) {
    return skip->commit_lsn != 0 && transaction->commit_lsn == skip->commit_lsn;
}
