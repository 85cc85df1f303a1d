/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_reader.c - fills batches from an archive.
 */
#include "cdc/readers/archive/archive_reader.h"

#include <assert.h>
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cdc/archive/archive_cursor.h"
#include "cdc/archive/archive_state.h"
#include "cdc/archive/follower.h"
#include "cdc/archive/segment_end.h"
#include "cdc/base/clock.h"
#include "cdc/base/log.h"
#include "cdc/base/start_over.h"
#include "cdc/readers/archive/archive_source.h"

enum {
    WATCH_BYTES = 4096,
    WAIT_MS = 1000, /* a writer on another machine is noticed this late */
    BLOCKED_WAIT_MS = 100,
    FOLLOW_INTERVAL_MS = 1000, /* how often the writer is told what it may delete */
};

struct archive_reader {
    struct reader reader;
    struct archive_source source;
    struct archive_cursor cursor;
    uint32_t timeline;  /* of the positions that are stored */
    int watch_fd;       /* inotify's; -1: none */
    lsn_t followed_lsn; /* what the writer was told last; 0: nothing */
    int64_t followed_ms;
    bool is_unknown; /* the writer cannot be told, and that was said */
    lsn_t until_lsn;
    bool until_whole; /* see struct reader_plan */
    lsn_t whole_lsn;  /* the end of the last whole transaction, or the start */
    bool is_drained;
    bool in_copy; /* the Begin of a copy's rows was delivered, and its Commit was not */
    lsn_t from_lsn;
    lsn_t reached_lsn;    /* everything up to it was delivered */
    lsn_t place_lsn;      /* where the last rows of a chunk are, ... */
    uint64_t place_index; /* ... and how many; UINT64_MAX: the copy is complete */
    bool ends_when_whole; /* at until_lsn a copy is not complete */
    bool is_whole;        /* that no copy goes on was told, or no sink asks */
};

static struct archive_reader *archive_of(struct reader *reader) {
    return (struct archive_reader *) reader;
}

/* ---- facts ---- */

static bool read_end(const char *directory, const struct segment_list *list, struct reader_facts *facts,
                     struct error *err) {
    struct segment segment = {.fd = -1};
    struct segment_end end = {0};
    const bool is_read = segment_open(directory, &list->names[list->count - 1], true, &segment, err) &&
                         segment_find_end(&segment, NULL, NULL, &end, err);
    if (is_read) {
        facts->identity = (struct source_identity){
            .system_id = segment.head.system_id, .timeline = segment.head.timeline, .flush_lsn = end.end_lsn};
        memcpy(facts->identity.database, segment.head.database, sizeof segment.head.database);
    }
    segment_close(&segment);
    return is_read;
}

static bool refuse_empty(const char *directory, struct error *err) {
    error_set(err, ERROR_RETRY, "archive %s: it has no segments yet", directory);
    return error_remedy(err, "run the pipeline that writes it, or correct source.archive");
}

static void look_at_first(const struct segment_name *first, struct reader_facts *facts) {
    facts->is_cut = first->first_lsn != 0;
    facts->had_rows = first->number > 1;
    facts->first_lsn = facts->is_cut ? first->first_lsn : POSITION_BEGINNING;
}

static bool look_at_archive(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    const char *directory = reader->config->source.archive;
    struct segment_list list = {0};
    struct stat file;
    *ret_facts = (struct reader_facts){0};
    if (stat(directory, &file) != 0 && errno == ENOENT)
        return refuse_empty(directory, err);
    const bool is_read = segment_list_read(directory, &list, err) &&
                         (list.count > 0 || refuse_empty(directory, err)) &&
                         read_end(directory, &list, ret_facts, err);
    if (is_read)
        look_at_first(&list.names[0], ret_facts);
    archive_of(reader)->timeline = ret_facts->identity.timeline;
    segment_list_release(&list);
    return is_read;
}

static bool archive_look(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    return look_at_archive(reader, ret_facts, err) &&
           archive_source_look(&archive_of(reader)->source, ret_facts, err);
}

static bool archive_open(struct reader *reader, struct reader_facts *ret_facts, struct error *err) {
    struct archive_reader *archive = archive_of(reader);
    archive->watch_fd = -1;
    archive->cursor = (struct archive_cursor){.segment = {.fd = -1}};
    reader->name = reader->config->source.slot;
    return look_at_archive(reader, ret_facts, err) &&
           archive_source_open(&archive->source, reader, ret_facts, err);
}

static bool archive_resume(struct reader *reader, bool is_copying, struct error *err) {
    return archive_source_resume(&archive_of(reader)->source, reader, is_copying, err);
}

static bool archive_plan(struct reader *reader, const struct reader_plan *plan, struct error *err) {
    (void) plan;
    return archive_source_plan(&archive_of(reader)->source, reader, err);
}

/* Where the segments of a later timeline begin. */
static bool archive_fork_lsn(struct reader *reader, uint32_t timeline, lsn_t *ret_fork_lsn,
                             struct error *err) {
    const char *directory = reader->config->source.archive;
    struct segment_list list = {0};
    *ret_fork_lsn = 0;
    bool is_read = segment_list_read(directory, &list, err);
    for (size_t i = 0; is_read && *ret_fork_lsn == 0 && i < list.count; i++) {
        struct segment segment = {.fd = -1};
        is_read = segment_open(directory, &list.names[i], i + 1 == list.count, &segment, err);
        if (is_read && segment.head.timeline > timeline)
            *ret_fork_lsn = segment.head.first_lsn;
        segment_close(&segment);
    }
    segment_list_release(&list);
    return is_read;
}

/* ---- start ---- */

static bool watch_directory(struct archive_reader *archive, struct error *err) {
    const char *directory = archive->reader.config->source.archive;
    archive->watch_fd = inotify_init1(IN_NONBLOCK | IN_CLOEXEC);
    if (archive->watch_fd < 0)
        return error_errno(err, "inotify");
    if (inotify_add_watch(archive->watch_fd, directory, IN_MODIFY | IN_MOVED_TO) < 0)
        return error_errno(err, "archive %s", directory);
    return true;
}

/*
 * A copy of an archive, or one of another user, may be read only: nothing is deleted there on our account. A
 * disk that was full is tried again.
 */
static void follow_from(struct archive_reader *archive, lsn_t lsn, int64_t now_ms) {
    struct error err = {0};
    archive->followed_ms = now_ms;
    const bool is_pipeline = archive->reader.config->state != NULL; /* and not a tail */
    if (!is_pipeline || lsn == archive->followed_lsn)
        return;
    if (follower_write(archive->reader.config->source.archive, archive->reader.config->source.follower, lsn,
                       &err)) {
        archive->followed_lsn = lsn;
        archive->is_unknown = false;
        return;
    }
    if (archive->is_unknown)
        return;
    archive->is_unknown = true;
    log_line(LOG_ARCHIVE_NEED_NOT_TOLD, "the archive's writer is not told what this pipeline still needs: %s",
             err.text);
}

/*
 * Positions name the timeline that the archive ended with at the start. When a later one follows, the next
 * attempt checks where the two part.
 */
static bool check_timeline(const struct archive_reader *archive, struct error *err) {
    const uint32_t timeline = archive->cursor.segment.head.timeline;
    return !archive->cursor.is_open || timeline <= archive->timeline ||
           error_set(err, ERROR_RETRY, "archive %s: the next timeline is %u",
                     archive->reader.config->source.archive, timeline);
}

static bool archive_is_whole(struct reader *reader, lsn_t lsn, bool *ret_is_whole, lsn_t *ret_whole_lsn,
                             struct error *err) {
    struct archive_state state;
    if (!archive_state_find(reader->config->source.archive, lsn, &state, err))
        return false;
    *ret_is_whole = state.is_whole;
    *ret_whole_lsn = state.whole_lsn;
    return true;
}

static bool archive_start(struct reader *reader, const struct reader_plan *plan, struct error *err) {
    struct archive_reader *archive = archive_of(reader);
    archive_source_start(&archive->source);
    follow_from(archive, plan->from_lsn, clock_now_ms());
    archive->until_lsn = plan->until_lsn;
    archive->until_whole = plan->until_whole;
    archive->whole_lsn = plan->from_lsn;
    archive->from_lsn = archive->reached_lsn = plan->from_lsn;
    archive->place_lsn = archive->place_index = 0;
    archive->is_drained = archive->in_copy = archive->ends_when_whole = false;
    archive->is_whole = !plan->lacks_rows;
    return watch_directory(archive, err) &&
           archive_cursor_open(&archive->cursor, reader->config->source.archive, plan->from_lsn, err);
}

/* ---- the end that was asked for ---- */

static void set_end(struct archive_reader *archive, lsn_t lsn) {
    atomic_store(&archive->reader.end_index, archive->place_lsn == lsn ? archive->place_index : 0);
    atomic_store(&archive->reader.end_lsn, lsn);
}

static void end_at(struct archive_reader *archive, lsn_t lsn) {
    struct reader *reader = &archive->reader;
    assert(!reader_has_ended(reader));
    reader->caught_up_lsn = lsn;
    reader->is_urgent = true;
    reader->in_transaction = false;
    set_end(archive, lsn);
}

/* until_lsn is inside this transaction's commit record: see struct reader_plan. */
static void end_before_transaction(struct archive_reader *archive, struct batch *batch) {
    batch_cut(batch);
    archive->reader.caught_up_lsn = 0;
    archive->reader.in_transaction = false;
    set_end(archive, archive->whole_lsn);
}

/* A run that would end where a copy is not complete ends when it is. */
static bool must_go_on(struct archive_reader *archive) {
    if (archive->ends_when_whole || !archive->until_whole || !archive->cursor.was_copying)
        return archive->ends_when_whole;
    archive->ends_when_whole = true;
    log_line(LOG_END_INSIDE_COPY,
             "archive %s: the copy of its tables is not complete at %s, so the run goes on until it is",
             archive->reader.config->source.archive, lsn_format(archive->until_lsn).text);
    return true;
}

/* True: the change is after the end, and so is everything after it. */
static bool is_behind_end(struct archive_reader *archive, struct batch *batch, const struct change *change) {
    const bool begins_behind =
        change->kind == CHANGE_BEGIN && change->transaction->commit_lsn >= archive->until_lsn;
    const bool ends_behind = change->kind == CHANGE_COMMIT && change->end_lsn > archive->until_lsn;
    if (archive->until_lsn == 0 || (!begins_behind && !ends_behind) || must_go_on(archive))
        return false;
    if (begins_behind)
        end_at(archive, archive->until_lsn);
    else
        end_before_transaction(archive, batch);
    return true;
}

/* ---- changes ---- */

static void append_change(struct archive_reader *archive, struct batch *batch, const struct change *change) {
    struct reader *reader = &archive->reader;
    if (is_behind_end(archive, batch, change))
        return;
    if (change->kind == CHANGE_BEGIN) {
        reader->commit_age_us = clock_postgres_us() - change->transaction->commit_time_us;
        reader->in_transaction = true;
    }
    if (change->kind == CHANGE_COMMIT) {
        archive->whole_lsn = change->end_lsn;
        reader->in_transaction = false;
    }
    batch_append(batch, change);
}

/* The rows of a copy have no Begin and no Commit. */
static void begin_copy(struct archive_reader *archive, struct batch *batch,
                       const struct transaction *transaction) {
    const struct change begin = {
        .kind = CHANGE_BEGIN, .lsn = transaction->commit_lsn, .transaction = transaction};
    append_change(archive, batch, &begin);
    archive->in_copy = true;
}

/* index: of a chunk, the number of the row that would follow; 0: the copy is complete. */
static bool end_copy(struct archive_reader *archive, struct batch *batch, const struct transaction *of,
                     lsn_t end_lsn, uint64_t index, struct error *err) {
    struct transaction *transaction = arena_alloc(&batch->arena, sizeof *transaction);
    if (transaction == NULL)
        return error_no_memory(err);
    *transaction = *of;
    transaction->end_lsn = end_lsn;
    if (!archive->in_copy)
        begin_copy(archive, batch, transaction);
    const struct change commit = {.kind = CHANGE_COMMIT,
                                  .lsn = end_lsn,
                                  .index = index,
                                  .transaction = transaction,
                                  .end_lsn = end_lsn};
    if (!reader_has_ended(&archive->reader))
        append_change(archive, batch, &commit);
    archive->in_copy = false;
    return true;
}

/* Where the rows of a chunk are, which is in their transaction. */
static bool end_rows(struct archive_reader *archive, struct batch *batch, lsn_t lsn, struct error *err) {
    const struct transaction *transaction = &archive->cursor.entries.transaction;
    if (!transaction->is_chunk)
        return end_copy(archive, batch, transaction, lsn, 0, err);
    archive->place_lsn = transaction->commit_lsn + 1;
    archive->place_index = archive->cursor.entries.next_index;
    return end_copy(archive, batch, transaction, archive->place_lsn, archive->place_index, err);
}

/* Once, as a transaction without rows: sinks note that no rows of a copy follow. */
static bool tell_whole(struct archive_reader *archive, struct batch *batch, lsn_t lsn, struct error *err) {
    const struct transaction whole = {
        .commit_lsn = lsn - 1, .commit_time_us = clock_postgres_us(), .is_chunk = true};
    if (archive->is_whole || archive->cursor.is_copying || lsn < archive->from_lsn)
        return true;
    archive->is_whole = true;
    archive->place_lsn = lsn;
    archive->place_index = UINT64_MAX;
    return end_copy(archive, batch, &whole, lsn, 0, err);
}

/* At the end of a group. Rows of a chunk may follow at the same LSN. */
static bool take_position(struct archive_reader *archive, struct batch *batch, lsn_t lsn, struct error *err) {
    struct reader *reader = &archive->reader;
    if (archive->in_copy && !end_rows(archive, batch, lsn, err))
        return false;
    if (reader_has_ended(reader))
        return true;
    if (archive->until_lsn != 0 && lsn > archive->until_lsn && !must_go_on(archive)) {
        end_at(archive, archive->until_lsn);
        return true;
    }
    if (!tell_whole(archive, batch, lsn, err))
        return false;
    atomic_store_explicit(&reader->received_lsn, lsn, memory_order_relaxed);
    reader->caught_up_lsn = archive->reached_lsn = lsn;
    if (archive->ends_when_whole && !archive->cursor.is_copying && lsn >= archive->until_lsn)
        end_at(archive, lsn);
    return true;
}

/* There is no more by now, so no rows at the end that was asked for, unless a copy goes on. */
static void take_end(struct archive_reader *archive) {
    if (archive->until_lsn != 0 && archive->reached_lsn >= archive->until_lsn && !must_go_on(archive))
        end_at(archive, archive->until_lsn);
}

static void take_change(struct archive_reader *archive, struct batch *batch, const struct change *change) {
    if (change->kind == CHANGE_READ && !archive->in_copy)
        begin_copy(archive, batch, change->transaction);
    if (!reader_has_ended(&archive->reader))
        append_change(archive, batch, change);
}

static bool archive_read(struct reader *reader, struct batch *batch, bool *ret_drained, struct error *err) {
    struct archive_reader *archive = archive_of(reader);
    *ret_drained = false;
    while (!*ret_drained && !batch_is_full(batch) && !reader_has_ended(reader)) {
        enum archive_step step;
        struct change change;
        lsn_t lsn = 0;
        if (!archive_cursor_next(&archive->cursor, &batch->arena, &step, &change, &lsn, err) ||
            !check_timeline(archive, err))
            return false;
        if (step == ARCHIVE_POSITION && !take_position(archive, batch, lsn, err))
            return false;
        if (step == ARCHIVE_DRAINED)
            take_end(archive);
        if (step == ARCHIVE_CHANGE)
            take_change(archive, batch, &change);
        *ret_drained = step == ARCHIVE_DRAINED;
        /* The writer has waited already before it stored an idle source's position. */
        reader->is_urgent = reader->is_urgent || *ret_drained;
    }
    *ret_drained = *ret_drained || reader_has_ended(reader);
    archive->is_drained = *ret_drained;
    return true;
}

/* ---- turns ---- */

static void forget_events(struct archive_reader *archive) {
    _Alignas(struct inotify_event) char bytes[WATCH_BYTES];
    while (read(archive->watch_fd, bytes, sizeof bytes) > 0)
        continue;
}

static bool archive_tend(struct reader *reader, const struct reader_tending *tending,
                         struct reader_wait *ret_wait, struct error *err) {
    struct archive_reader *archive = archive_of(reader);
    (void) err;
    reader->is_flowing = !archive->is_drained;
    if (tending->durable_lsn > archive->followed_lsn &&
        tending->now_ms - archive->followed_ms >= FOLLOW_INTERVAL_MS)
        follow_from(archive, tending->durable_lsn, tending->now_ms);
    if ((reader->revents & POLLIN) != 0)
        forget_events(archive);
    if (tending->is_blocked)
        *ret_wait = (struct reader_wait){.fd = -1, .timeout_ms = BLOCKED_WAIT_MS};
    else
        *ret_wait = (struct reader_wait){.fd = archive->watch_fd, .events = POLLIN, .timeout_ms = WAIT_MS};
    return true;
}

static bool archive_finish(struct reader *reader, lsn_t durable_lsn, struct error *err) {
    (void) err;
    if (durable_lsn != 0)
        follow_from(archive_of(reader), durable_lsn, clock_now_ms());
    return true;
}

static void archive_close(struct reader *reader) {
    struct archive_reader *archive = archive_of(reader);
    archive_cursor_close(&archive->cursor);
    archive_source_close(&archive->source);
    if (archive->watch_fd > 0)
        close(archive->watch_fd);
    archive->watch_fd = -1;
}

const struct reader_ops reader_archive = {
    .name = "archive",
    .size = sizeof(struct archive_reader),
    .open = archive_open,
    .look = archive_look,
    .fork_lsn = archive_fork_lsn,
    .is_whole = archive_is_whole,
    .resume = archive_resume,
    .plan = archive_plan,
    .start = archive_start,
    .read = archive_read,
    .tend = archive_tend,
    .finish = archive_finish,
    .close = archive_close,
};
