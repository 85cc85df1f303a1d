/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive.c - keeps every change in segment files on this machine: exactly once, compressed, to be replayed.
 *
 * Changes become entries in memory; a frame is written when they are many, and at a commit, whose frame holds
 * the position. So a transaction of any size needs the memory of one frame. A frame counts once a later one,
 * or itself, ends with a commit; what does not count is cut off when the archive is opened.
 *
 * A copy in chunks beside the changes: archive_chunks.c.
 *
 * A commit is durable when the file is synced. VISIBLE leaves that to a later one.
 */
#include <assert.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/base/clock.h"
#include "cdc/base/fault.h"
#include "sinks/archive/archive.h"
#include "sinks/archive/archive_check.h"
#include "sinks/archive/archive_drop.h"
#include "sinks/types.h"

enum {
    FRAME_BYTES = 1024 * 1024, /* of entries: more compress little better */
    RETAIN_INTERVAL_MS = 60000,
};

/* ---- opening ---- */

static struct segment_head head_of(const struct archive_sink *archive) {
    const struct sink *sink = &archive->sink;
    struct segment_head head = {.system_id = archive->source.system_id,
                                .timeline = archive->source.timeline,
                                .created_time_us = clock_unix_us()};
    snprintf(head.pipeline, sizeof head.pipeline, "%s", sink->config->pipeline);
    snprintf(head.sink, sizeof head.sink, "%s", sink->config->name);
    if (sink->config->database != NULL)
        snprintf(head.database, sizeof head.database, "%s", sink->config->database);
    snprintf(head.program, sizeof head.program, "pgcdc %s", PGCDC_VERSION);
    return head;
}

static struct position position_of(const struct segment_head *head, lsn_t end_lsn) {
    return end_lsn == 0 ? (struct position){0}
                        : (struct position){
                              .end_lsn = end_lsn, .system_id = head->system_id, .timeline = head->timeline};
}

/* Old segments are deleted first: a follower may have read them since. */
static bool check_room(const struct archive_sink *archive, struct error *err) {
    const struct archive_options *options = &archive->options;
    return options->bytes_max == 0 || ((!retention_is_set(&options->retention) ||
                                        retention_apply(options->path, &options->retention, err)) &&
                                       retention_check_room(options->path, options->bytes_max, err));
}

static bool archive_open(struct sink *sink, struct position *ret_position, struct error *err) {
    struct archive_sink *archive = (struct archive_sink *) sink;
    archive->source = (struct position){.system_id = sink->facts.system_id, .timeline = sink->facts.timeline};
    const struct segment_head head = head_of(archive);
    entry_writer_init(&archive->entries);
    buffer_init(&archive->plain, FRAME_PLAIN_BYTES_MAX);
    archive_plan_init(&archive->plan);
    if (!archive_options_read(sink->config, &archive->options, err) ||
        !segment_writer_open(&archive->writer, archive->options.path, &head, archive->options.level,
                             &archive->entries, err) ||
        !archive_plan_read(&archive->plan, archive->options.path, err))
        return false;
    archive->passed_lsn = archive->next_passed_lsn = archive->writer.end_lsn;
    archive->has_part = archive->has_plan = false;
    archive->segment_since_ms = clock_now_ms();
    archive->visible = archive->durable = position_of(&archive->writer.head, archive->writer.end_lsn);
    *ret_position = archive->durable;
    return check_room(archive, err);
}

static void archive_close(struct sink *sink) {
    struct archive_sink *archive = (struct archive_sink *) sink;
    segment_writer_close(&archive->writer);
    entry_writer_release(&archive->entries);
    archive_plan_release(&archive->plan);
    buffer_release(&archive->plain);
}

/* ---- frames ---- */

/* A segment is of one timeline of one cluster. */
static bool is_of_source(const struct archive_sink *archive) {
    const struct segment_head *head = &archive->writer.head;
    return head->system_id == archive->source.system_id && head->timeline == archive->source.timeline;
}

static bool end_segment(struct archive_sink *archive, struct error *err) {
    return segment_writer_end(&archive->writer, buffer_slice(&archive->entries.definitions), err);
}

/*
 * The last segment has the plan, and where the last row of a copy is, as long as another one may come there.
 */
static bool repeats_plan(const struct archive_sink *archive) {
    const struct archive_plan *plan = &archive->plan;
    return plan->count > 0 ||
           (plan->head.row_lsn != 0 && plan->head.row_lsn >= archive->writer.head.first_lsn);
}

/* An archive without the rows of a copy begins at a place, as one does whose old segments are gone. */
static void begin_at_first(struct archive_sink *archive) {
    if (archive->writer.end_lsn != 0)
        return;
    archive->writer.end_lsn = archive->sink.facts.first_lsn;
    archive->passed_lsn = archive->sink.facts.first_lsn;
}

static bool begin_segment(struct archive_sink *archive, struct error *err) {
    const struct segment_head head = head_of(archive);
    begin_at_first(archive);
    if (!segment_writer_begin(&archive->writer, &head, err))
        return false;
    entry_writer_begin_segment(&archive->entries);
    archive->segment_since_ms = clock_now_ms();
    return !repeats_plan(archive) || archive_write_plan(archive, err);
}

/* Before the first entry of a frame. */
static bool begin_frame(struct archive_sink *archive, struct error *err) {
    struct segment_writer *writer = &archive->writer;
    if (!segment_writer_is_at_end(writer) && !archive->has_part && !is_of_source(archive) &&
        !end_segment(archive, err))
        return false;
    if (segment_writer_is_at_end(writer) && !begin_segment(archive, err))
        return false;
    if (archive->plain.size == 0)
        entry_writer_begin_frame(&archive->entries);
    return true;
}

bool archive_prepare_entry(struct archive_sink *archive, struct error *err) {
    return archive->plain.size > 0 || begin_frame(archive, err);
}

/* position: NULL in the middle of a group. */
static bool write_frame(struct archive_sink *archive, const struct position *position, struct error *err) {
    struct frame frame = {.is_whole = position != NULL,
                          .is_copying = position != NULL && archive->plan.count > 0,
                          .has_plan = archive->has_plan,
                          .relation_count = archive->entries.relation_count,
                          .first_lsn = archive->passed_lsn,
                          .end_lsn = position != NULL ? position->end_lsn : 0,
                          .commit_time_us = archive->entries.commit_time_us};
    if (!segment_writer_append(&archive->writer, &frame, buffer_slice(&archive->plain), err))
        return false;
    buffer_reset(&archive->plain);
    archive->has_plan = false;
    archive->has_part = position == NULL;
    archive->passed_lsn = archive->next_passed_lsn;
    return true;
}

bool archive_end_entry(struct archive_sink *archive, struct error *err) {
    return archive->plain.size < FRAME_BYTES || write_frame(archive, NULL, err);
}

/* ---- changes ---- */

/* Who reads the archive that the rows come from must know until when they are not complete. */
static bool refuse_chunk(const struct archive_sink *archive, struct error *err) {
    error_set(
        err, ERROR_CONFIG,
        "archive %s: the rows come from a copy in chunks of another archive, and an archive cannot take "
        "them over",
        archive->options.path);
    return error_remedy(err, "carry that archive with `pgcdc archive export`");
}

/* A change that the archive cannot hold is named by the caller; the rest is the machine's. */
static bool add_change(struct archive_sink *archive, const struct change *change, struct error *err) {
    if (change->transaction != NULL && change->transaction->is_chunk)
        return refuse_chunk(archive, err);
    if (!archive_prepare_entry(archive, err))
        return false;
    archive->entries.is_chunk = archive->plan.count > 0;
    if (!entry_write(&archive->entries, change, &archive->plain, err))
        return false;
    if (change->kind == CHANGE_COMMIT)
        archive->next_passed_lsn = change->end_lsn;
    return archive_end_entry(archive, err);
}

static bool archive_write(struct sink *sink, const struct sink_span *span, struct error *err) {
    struct archive_sink *archive = (struct archive_sink *) sink;
    for (size_t i = span->present; i < span->count; i++)
        if (!add_change(archive, &span->changes[i], err))
            return false;
    if (span->count > 0)
        FAULT_POINT("archive-after-write");
    return true;
}

/* ---- commit ---- */

static bool segment_is_due(const struct archive_sink *archive) {
    return archive->writer.size >= archive->options.segment_bytes ||
           clock_now_ms() - archive->segment_since_ms >= archive->options.segment_ms;
}

static bool make_visible(struct archive_sink *archive, const struct position *position, struct error *err) {
    if (archive->plain.size == 0 && !archive->has_part && archive->visible.end_lsn == position->end_lsn &&
        archive->visible.timeline == position->timeline)
        return true;
    if (archive->plain.size == 0) {
        archive->source = *position;
        if (!begin_frame(archive, err))
            return false;
    }
    archive->next_passed_lsn = position->end_lsn;
    if (!write_frame(archive, position, err))
        return false;
    archive->visible = *position;
    FAULT_POINT("archive-after-commit");
    return true;
}

/* After a segment was closed, and now and then. */
static bool retain(struct archive_sink *archive, bool is_due, struct error *err) {
    const int64_t now_ms = clock_now_ms();
    if (!retention_is_set(&archive->options.retention) ||
        (!is_due && now_ms - archive->retained_ms < FAULT_INTERVAL_MS(RETAIN_INTERVAL_MS)))
        return true;
    archive->retained_ms = now_ms;
    return retention_apply(archive->options.path, &archive->options.retention, err);
}

static bool make_durable(struct archive_sink *archive, struct error *err) {
    if (!segment_writer_sync(&archive->writer, err))
        return false;
    archive->durable = archive->visible;
    const bool is_full = !segment_writer_is_at_end(&archive->writer) && segment_is_due(archive);
    return (!is_full || end_segment(archive, err)) && retain(archive, is_full, err) &&
           (!is_full || check_room(archive, err));
}

static bool archive_commit(struct sink *sink, const struct position *position, enum commit_wait wait,
                           struct position *ret_durable, struct error *err) {
    struct archive_sink *archive = (struct archive_sink *) sink;
    if (wait != COMMIT_ASK) {
        assert(position->commit_lsn == 0);
        if (position->end_lsn < archive->visible.end_lsn)
            return error_set(err, ERROR_REFUSE, "archive %s: its position is %s, and %s was to be stored",
                             archive->options.path, lsn_format(archive->visible.end_lsn).text,
                             lsn_format(position->end_lsn).text);
        if (!make_visible(archive, position, err) ||
            ((wait == COMMIT_DURABLE || segment_is_due(archive)) && !make_durable(archive, err)))
            return false;
    }
    *ret_durable = archive->durable;
    return true;
}

/* ---- for the commands ---- */

static bool archive_validate(const struct sink_config *config, struct error *err) {
    struct archive_options options;
    return archive_options_read(config, &options, err);
}

static bool look_at_last(const char *directory, struct segment_list *list, struct sink_view *view,
                         struct error *err) {
    struct segment segment = {.fd = -1};
    struct segment_end end;
    if (list->count == 0)
        return true;
    const bool is_seen = segment_open(directory, &list->names[list->count - 1], true, &segment, err) &&
                         segment_find_end(&segment, NULL, NULL, &end, err);
    if (is_seen) {
        view->position = position_of(&segment.head, end.end_lsn);
        struct stat file;
        if (fstat(segment.fd, &file) == 0)
            view->age_ms = (clock_unix_us() - (int64_t) file.st_mtim.tv_sec * 1000000) / 1000;
    }
    segment_close(&segment);
    return is_seen;
}

static bool archive_look(struct sink *sink, struct sink_view *ret_view, struct error *err) {
    struct archive_options options;
    struct segment_list list = {0};
    struct stat directory;
    *ret_view = (struct sink_view){0};
    if (!archive_options_read(sink->config, &options, err))
        return false;
    if (stat(options.path, &directory) != 0 && errno == ENOENT)
        return true;
    const bool is_seen =
        segment_list_read(options.path, &list, err) && look_at_last(options.path, &list, ret_view, err);
    segment_list_release(&list);
    return is_seen;
}

static bool archive_drop(struct sink *sink, struct error *err) {
    struct archive_options options;
    return archive_options_read(sink->config, &options, err) && archive_drop_segments(options.path, err);
}

const struct sink_ops sink_archive = {
    .type = "archive",
    .options = ARCHIVE_OPTIONS,
    .size = sizeof(struct archive_sink),
    .stores_position = true,
    .takes_text_only = true,
    .takes_bytes = true,
    .validate = archive_validate,
    .open = archive_open,
    .write = archive_write,
    .commit = archive_commit,
    .close = archive_close,
    .chunk = &ARCHIVE_CHUNK,
    .admin =
        &(const struct sink_admin_ops){.look = archive_look, .check = archive_check, .drop = archive_drop},
};
