/* SPDX-License-Identifier: Apache-2.0 */
/*
 * activity.c - the file's text.
 *
 *     pgcdc activity 1
 *     pid 4711
 *     started 1764399600000000
 *     written 1764399607000000
 *     rows_copied 1000
 *     copy TABLES_DONE TABLE_COUNT ROWS BYTES BYTES_DONE BYTES_ESTIMATE TABLE      only while it runs
 *     sink NAME TRANSACTIONS CHANGES PER_S PER_S COMMIT_US CAUGHT_UP_US
 *     stops NAME KIND COUNT
 *     end
 */
#include "cdc/engine/activity.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cdc/base/fault.h"

#define MAGIC "pgcdc activity 1\n"

enum { LINE_MAX_BYTES = 512 };

int64_t activity_lag_ms(const struct activity_sink *sink, int64_t source_now_us) {
    const int64_t known_us = sink->commit_us > sink->caught_up_us ? sink->commit_us : sink->caught_up_us;
    if (known_us == 0)
        return -1;
    return source_now_us > known_us ? (source_now_us - known_us) / 1000 : 0;
}

const struct activity_sink *activity_find(const struct activity *activity, const char *name) {
    for (size_t i = 0; activity->exists && i < activity->sink_count; i++)
        if (strcmp(activity->sinks[i].name, name) == 0)
            return &activity->sinks[i];
    return NULL;
}

static void file_path(char path[static PATH_MAX], const char *directory, const char *pipeline,
                      const char *suffix) {
    snprintf(path, PATH_MAX, "%s/%s.activity%s", directory, pipeline, suffix);
}

/* ---- reading ---- */

static void take_copy(const char *line, struct activity_copy *copy) {
    int length = 0;
    if (sscanf(line, "copy %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "%n",
               &copy->tables_done, &copy->table_count, &copy->rows, &copy->bytes, &copy->bytes_done,
               &copy->bytes_estimate, &length) < 6)
        return;
    copy->runs = true;
    const char *table = line[length] == ' ' ? line + length + 1 : "";
    snprintf(copy->table, sizeof copy->table, "%.*s", (int) strcspn(table, "\n"), table);
}

static void take_sink(const char *line, struct activity *activity) {
    struct activity_sink sink = {0};
    _Static_assert(CHECKPOINT_NAME_MAX == 64, "the width below");
    if (activity->sink_count < CHECKPOINT_SINKS_MAX &&
        sscanf(line, "sink %63s %" SCNu64 " %" SCNu64 " %lf %lf %" SCNd64 " %" SCNd64, sink.name,
               &sink.transactions, &sink.changes, &sink.transactions_per_s, &sink.changes_per_s,
               &sink.commit_us, &sink.caught_up_us) == 7)
        activity->sinks[activity->sink_count++] = sink;
}

static void take_stops(const char *line, struct activity *activity) {
    char name[CHECKPOINT_NAME_MAX], text[32];
    enum conflict_kind kind;
    uint64_t count = 0;
    if (sscanf(line, "stops %63s %31s %" SCNu64, name, text, &count) != 3 || !conflict_kind_find(text, &kind))
        return;
    for (size_t i = 0; i < activity->sink_count; i++)
        if (strcmp(activity->sinks[i].name, name) == 0)
            activity->sinks[i].stops[kind] = count;
}

static void take_line(const char *line, struct activity *activity) {
    int pid = 0;
    if (sscanf(line, "pid %d", &pid) == 1)
        activity->pid = pid;
    else if (sscanf(line, "started %" SCNd64, &activity->started_us) == 1 ||
             sscanf(line, "written %" SCNd64, &activity->written_us) == 1 ||
             sscanf(line, "rows_copied %" SCNu64, &activity->rows_copied) == 1)
        return;
    take_copy(line, &activity->copy);
    take_sink(line, activity);
    take_stops(line, activity);
    activity->exists = strcmp(line, "end\n") == 0;
}

void activity_read(const char *directory, const char *pipeline, struct activity *ret_activity) {
    char path[PATH_MAX], line[LINE_MAX_BYTES];
    *ret_activity = (struct activity){0};
    file_path(path, directory, pipeline, "");
    FILE *file = fopen(path, "re");
    if (file == NULL)
        return;
    if (fgets(line, sizeof line, file) != NULL && strcmp(line, MAGIC) == 0)
        while (fgets(line, sizeof line, file) != NULL)
            take_line(line, ret_activity);
    fclose(file);
    if (!ret_activity->exists)
        *ret_activity = (struct activity){0};
}

/* ---- writing ---- */

/* A name with a line break in it stays on one line. */
static void print_copy(FILE *file, const struct activity_copy *copy) {
    if (!copy->runs)
        return;
    fprintf(file, "copy %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ",
            copy->tables_done, copy->table_count, copy->rows, copy->bytes, copy->bytes_done,
            copy->bytes_estimate);
    for (const char *c = copy->table; *c != '\0'; c++)
        putc((unsigned char) *c < ' ' ? ' ' : *c, file);
    putc('\n', file);
}

static void print_stops(FILE *file, const struct activity_sink *sink) {
    for (size_t i = 0; i < CONFLICT_KINDS; i++)
        if (sink->stops[i] > 0)
            fprintf(file, "stops %s %s %" PRIu64 "\n", sink->name, conflict_kind_name((enum conflict_kind) i),
                    sink->stops[i]);
}

static bool print_activity(const char *path, const struct activity *activity) {
    FILE *file = fopen(path, "we");
    if (file == NULL)
        return false;
    fprintf(file, MAGIC "pid %d\nstarted %" PRId64 "\nwritten %" PRId64 "\nrows_copied %" PRIu64 "\n",
            (int) activity->pid, activity->started_us, activity->written_us, activity->rows_copied);
    print_copy(file, &activity->copy);
    for (size_t i = 0; i < activity->sink_count; i++) {
        const struct activity_sink *sink = &activity->sinks[i];
        fprintf(file, "sink %s %" PRIu64 " %" PRIu64 " %.1f %.1f %" PRId64 " %" PRId64 "\n", sink->name,
                sink->transactions, sink->changes, sink->transactions_per_s, sink->changes_per_s,
                sink->commit_us, sink->caught_up_us);
        print_stops(file, sink);
    }
    fputs("end\n", file);
    const bool written = fflush(file) == 0 && ferror(file) == 0;
    return fclose(file) == 0 && written;
}

bool activity_write(const char *directory, const char *pipeline, const struct activity *activity,
                    struct error *err) {
    char path[PATH_MAX], temporary[PATH_MAX];
    file_path(path, directory, pipeline, "");
    file_path(temporary, directory, pipeline, ".new");
    if (!print_activity(temporary, activity))
        return error_errno(err, "%s", temporary);
    FAULT_POINT("activity-written");
    return rename(temporary, path) == 0 ? true : error_errno(err, "%s", path);
}

bool activity_remove(const char *directory, const char *pipeline, struct error *err) {
    static const char *const SUFFIXES[] = {".new", ""};
    char path[PATH_MAX];
    for (size_t i = 0; i < sizeof SUFFIXES / sizeof SUFFIXES[0]; i++) {
        file_path(path, directory, pipeline, SUFFIXES[i]);
        if (unlink(path) != 0 && errno != ENOENT && errno != ENOTDIR)
            return error_errno(err, "%s", path);
    }
    return true;
}
