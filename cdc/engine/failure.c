/* SPDX-License-Identifier: Apache-2.0 */
/*
 * failure.c - the file's text.
 *
 *     pgcdc failure 1
 *     kind retry
 *     sqlstate 57P03
 *     attempts 3
 *     since 1764399600000000
 *     last 1764399607000000
 *     position 0/16B3748
 *     transaction 0/16B3700
 *     conflict update_missing
 *     text ...
 *     remedy ...
 *     end
 */
#include "cdc/engine/failure.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/fault.h"

#define MAGIC "pgcdc failure 1\n"

static void file_path(char path[static PATH_MAX], const char *directory, const char *pipeline,
                      const char *suffix) {
    snprintf(path, PATH_MAX, "%s/%s.failure%s", directory, pipeline, suffix);
}

/* ---- reading ---- */

static void take_text(char *target, size_t size, const char *line, const char *key) {
    const size_t length = strlen(key);
    if (strncmp(line, key, length) == 0)
        snprintf(target, size, "%.*s", (int) strcspn(line + length, "\n"), line + length);
}

static void take_line(const char *line, struct failure *failure) {
    char lsn[32] = "", commit_lsn[32] = "";
    take_text(failure->error.sqlstate, sizeof failure->error.sqlstate, line, "sqlstate ");
    take_text(failure->error.text, sizeof failure->error.text, line, "text ");
    take_text(failure->error.remedy, sizeof failure->error.remedy, line, "remedy ");
    take_text(failure->error.conflict, sizeof failure->error.conflict, line, "conflict ");
    take_text(lsn, sizeof lsn, line, "position ");
    take_text(commit_lsn, sizeof commit_lsn, line, "transaction ");
    if (sscanf(line, "attempts %" SCNu64, &failure->attempts) == 1 ||
        sscanf(line, "since %" SCNd64, &failure->since_us) == 1 ||
        sscanf(line, "last %" SCNd64, &failure->last_us) == 1)
        return;
    if (lsn[0] != '\0' && !lsn_parse(lsn, &failure->position_lsn))
        failure->position_lsn = 0;
    if (commit_lsn[0] != '\0' && !lsn_parse(commit_lsn, &failure->error.commit_lsn))
        failure->error.commit_lsn = 0;
    failure->exists = strcmp(line, "end\n") == 0;
}

void failure_read(const char *directory, const char *pipeline, struct failure *ret_failure) {
    char path[PATH_MAX], line[ERROR_TEXT_MAX + 64];
    *ret_failure = (struct failure){0};
    file_path(path, directory, pipeline, "");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(line, sizeof line, file) != NULL && strcmp(line, MAGIC) == 0)
        while (fgets(line, sizeof line, file) != NULL)
            take_line(line, ret_failure);
    fclose(file);
    if (!ret_failure->exists)
        *ret_failure = (struct failure){0};
}

/* ---- writing ---- */

/* A text stays on one line. */
static char in_line(char letter) {
    return (unsigned char) letter < ' ' ? ' ' : letter;
}

static void print_text(FILE *file, const char *key, const char *text) {
    fputs(key, file);
    for (; *text != '\0'; text++)
        putc(in_line(*text), file);
    putc('\n', file);
}

static bool print_failure(const char *path, const struct failure *failure) {
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file,
            MAGIC "kind %s\nsqlstate %s\nattempts %" PRIu64 "\nsince %" PRId64 "\nlast %" PRId64
                  "\nposition %s\n",
            error_kind_name(failure->error.kind), failure->error.sqlstate, failure->attempts,
            failure->since_us, failure->last_us, lsn_format(failure->position_lsn).text);
    if (failure->error.commit_lsn != 0)
        fprintf(file, "transaction %s\n", lsn_format(failure->error.commit_lsn).text);
    if (failure->error.conflict[0] != '\0')
        print_text(file, "conflict ", failure->error.conflict);
    print_text(file, "text ", failure->error.text);
    print_text(file, "remedy ", failure->error.remedy);
    fputs("end\n", file);
    const bool written = fflush(file) == 0 && ferror(file) == 0;
    return fclose(file) == 0 && written;
}

bool failure_write(const char *directory, const char *pipeline, const struct failure *failure,
                   struct error *err) {
    char path[PATH_MAX], temporary[PATH_MAX];
    file_path(path, directory, pipeline, "");
    file_path(temporary, directory, pipeline, ".new");
    if (!print_failure(temporary, failure))
        return error_errno(err, "%s", temporary);
    FAULT_POINT("failure-written");
    return rename(temporary, path) == 0 ? true : error_errno(err, "%s", path);
}

static bool is_kept(const char *kept, const char *text) {
    while (*kept != '\0' && *kept == in_line(*text)) {
        kept++;
        text++;
    }
    return *kept == '\0' && *text == '\0';
}

bool failure_explain(const char *directory, const char *pipeline, const struct error *error,
                     struct error *err) {
    struct failure failure;
    failure_read(directory, pipeline, &failure);
    if (!failure.exists || !is_kept(failure.error.text, error->text) ||
        is_kept(failure.error.remedy, error->remedy))
        return true;
    failure.error = *error;
    return failure_write(directory, pipeline, &failure, err);
}

bool failure_remove(const char *directory, const char *pipeline, struct error *err) {
    static const char *const SUFFIXES[] = {".new", ""};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
        file_path(path, directory, pipeline, SUFFIXES[i]);
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return error_errno(err, "%s", path);
    }
    return true;
}
