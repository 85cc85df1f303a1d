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
 *     copy_rate BYTES_PER_S LEFT_MS                                                likewise
 *     copying SINK OID ROWS BYTES_DONE BYTES_PER_S LEFT_MS                         for each table in work
 *     sink NAME TRANSACTIONS CHANGES PER_S PER_S COMMIT_US CAUGHT_UP_US
 *     stops NAME KIND COUNT
 *     left_out NAME COUNT
 *     by_rule NAME CHANGES COPIED TABLE<tab>RULE                                   for each that left rows out
 *     end
 */
#include "cdc/engine/activity.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "cdc/base/buffer.h"
#include "cdc/base/fault.h"
#include "cdc/engine/state_file.h"

#define MAGIC "pgcdc activity 1\n"

#define KIND "activity"

enum { TEXT_BYTES_MAX = 256 * 1024 };

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

/* ---- reading ---- */

static void take_copy(const char *line, struct activity_copy *copy) {
    int length = 0;
    if (sscanf(line, "copy %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 " %" SCNu64 "%n",
               &copy->tables_done, &copy->table_count, &copy->rows, &copy->bytes, &copy->bytes_done,
               &copy->bytes_estimate, &length) < 6)
        return;
    copy->runs = true;
    copy->bytes_per_s = copy->left_ms = -1;
    const char *table = line[length] == ' ' ? line + length + 1 : "";
    snprintf(copy->table, sizeof copy->table, "%.*s", (int) strcspn(table, "\n"), table);
}

static void take_copy_rate(const char *line, struct activity_copy *copy) {
    int64_t bytes_per_s, left_ms;
    if (sscanf(line, "copy_rate %" SCNd64 " %" SCNd64, &bytes_per_s, &left_ms) != 2)
        return;
    copy->bytes_per_s = bytes_per_s;
    copy->left_ms = left_ms;
}

static void take_copying(const char *line, struct activity_copy *copy) {
    struct activity_table table = {0};
    if (copy->shown_count < PROGRESS_TABLES_MAX &&
        sscanf(line, "copying %63s %" SCNu32 " %" SCNu64 " %" SCNu64 " %" SCNd64 " %" SCNd64, table.sink,
               &table.oid, &table.rows, &table.bytes_done, &table.bytes_per_s, &table.left_ms) == 6)
        copy->tables[copy->shown_count++] = table;
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

static void take_left_out(const char *line, struct activity *activity) {
    char name[CHECKPOINT_NAME_MAX];
    uint64_t count = 0;
    if (sscanf(line, "left_out %63s %" SCNu64, name, &count) != 2)
        return;
    for (size_t i = 0; i < activity->sink_count; i++)
        if (strcmp(activity->sinks[i].name, name) == 0)
            activity->sinks[i].left_out = count;
}

static void take_by_rule(const char *line, struct activity *activity) {
    struct activity_left_out item = {0};
    int length = 0;
    if (activity->left_out_count == ACTIVITY_LEFT_OUT_MAX ||
        sscanf(line, "by_rule %63s %" SCNu64 " %" SCNu64 " %n", item.sink, &item.changes, &item.copied,
               &length) < 3 ||
        length == 0)
        return;
    const char *table = line + length, *rule = strchr(table, '\t');
    if (rule == NULL)
        return;
    snprintf(item.table, sizeof item.table, "%.*s", (int) (rule - table), table);
    snprintf(item.rule, sizeof item.rule, "%.*s", (int) strcspn(rule + 1, "\n"), rule + 1);
    activity->left_out[activity->left_out_count++] = item;
}

static void take_line(const char *line, void *context) {
    struct activity *activity = context;
    int pid = 0;
    if (sscanf(line, "pid %d", &pid) == 1)
        activity->pid = pid;
    else if (sscanf(line, "started %" SCNd64, &activity->started_us) == 1 ||
             sscanf(line, "written %" SCNd64, &activity->written_us) == 1 ||
             sscanf(line, "rows_copied %" SCNu64, &activity->rows_copied) == 1)
        return;
    take_copy(line, &activity->copy);
    take_copy_rate(line, &activity->copy);
    take_copying(line, &activity->copy);
    take_sink(line, activity);
    take_stops(line, activity);
    take_left_out(line, activity);
    take_by_rule(line, activity);
    activity->exists = strcmp(line, "end\n") == 0;
}

void activity_read(const char *directory, const char *pipeline, struct activity *ret_activity) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    *ret_activity = (struct activity){0};
    state_file_read(&file, MAGIC, take_line, ret_activity);
    if (!ret_activity->exists)
        *ret_activity = (struct activity){0};
}

/* ---- writing ---- */

/* A name with a line break in it stays on one line. */
static void print_name(struct buffer *text, const char *name) {
    for (const char *c = name; *c != '\0'; c++)
        buffer_append_u8(text, (unsigned char) *c < ' ' ? ' ' : (uint8_t) *c);
}

static void print_copy(struct buffer *text, const struct activity_copy *copy) {
    if (!copy->runs)
        return;
    buffer_printf(text, "copy %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " %" PRIu64 " ",
                  copy->tables_done, copy->table_count, copy->rows, copy->bytes, copy->bytes_done,
                  copy->bytes_estimate);
    print_name(text, copy->table);
    buffer_printf(text, "\ncopy_rate %" PRId64 " %" PRId64 "\n", copy->bytes_per_s, copy->left_ms);
    for (size_t i = 0; i < copy->shown_count; i++) {
        const struct activity_table *table = &copy->tables[i];
        buffer_printf(text, "copying %s %" PRIu32 " %" PRIu64 " %" PRIu64 " %" PRId64 " %" PRId64 "\n",
                      table->sink, table->oid, table->rows, table->bytes_done, table->bytes_per_s,
                      table->left_ms);
    }
}

static void print_stops(struct buffer *text, const struct activity_sink *sink) {
    for (size_t i = 0; i < CONFLICT_KINDS; i++)
        if (sink->stops[i] > 0)
            buffer_printf(text, "stops %s %s %" PRIu64 "\n", sink->name,
                          conflict_kind_name((enum conflict_kind) i), sink->stops[i]);
}

static void print_by_rule(struct buffer *text, const struct activity *activity) {
    for (size_t i = 0; i < activity->left_out_count; i++) {
        const struct activity_left_out *item = &activity->left_out[i];
        buffer_printf(text, "by_rule %s %" PRIu64 " %" PRIu64 " ", item->sink, item->changes, item->copied);
        print_name(text, item->table);
        buffer_append_text(text, "\t");
        print_name(text, item->rule);
        buffer_append_text(text, "\n");
    }
}

static void print_activity(struct buffer *text, const struct activity *activity) {
    buffer_printf(text, MAGIC "pid %d\nstarted %" PRId64 "\nwritten %" PRId64 "\nrows_copied %" PRIu64 "\n",
                  (int) activity->pid, activity->started_us, activity->written_us, activity->rows_copied);
    print_copy(text, &activity->copy);
    for (size_t i = 0; i < activity->sink_count; i++) {
        const struct activity_sink *sink = &activity->sinks[i];
        buffer_printf(text, "sink %s %" PRIu64 " %" PRIu64 " %.1f %.1f %" PRId64 " %" PRId64 "\n", sink->name,
                      sink->transactions, sink->changes, sink->transactions_per_s, sink->changes_per_s,
                      sink->commit_us, sink->caught_up_us);
        print_stops(text, sink);
        if (sink->left_out > 0)
            buffer_printf(text, "left_out %s %" PRIu64 "\n", sink->name, sink->left_out);
    }
    print_by_rule(text, activity);
    buffer_append_text(text, "end\n");
}

bool activity_write(const char *directory, const char *pipeline, const struct activity *activity,
                    struct error *err) {
    struct buffer text AUTO(buffer_release) = {.bytes_max = TEXT_BYTES_MAX};
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    print_activity(&text, activity);
    if (!buffer_ok(&text))
        return error_no_memory(err);
    if (!state_file_write(&file, buffer_slice(&text), false, err))
        return false;
    FAULT_POINT("activity-written");
    return state_file_place(&file, err);
}

bool activity_remove(const char *directory, const char *pipeline, struct error *err) {
    const struct state_file file = state_file_of(directory, pipeline, NULL, KIND);
    return state_file_remove(&file, err);
}
