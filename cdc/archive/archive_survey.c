/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_survey.c - counts frames; with checks, reads and decodes each of them.
 */
#include "cdc/archive/archive_survey.h"

#include "cdc/base/arena.h"
#include "proto/entry.h"

enum { BLOCK_BYTES = 256 * 1024 };

struct surveying {
    struct segment *segment;
    struct segment_survey *survey;
    const atomic_bool *stop;
    bool checks;
    lsn_t last_lsn; /* the position before the frame's group */
    struct buffer plain;
    struct arena arena;
    struct entry_reader entries;
};

static void count_change(struct segment_survey *survey, const struct change *change) {
    survey->transactions += change->kind == CHANGE_COMMIT;
    survey->rows_read += change->kind == CHANGE_READ;
    survey->changes +=
        change->kind != CHANGE_BEGIN && change->kind != CHANGE_COMMIT && change->kind != CHANGE_READ;
}

static bool decode_frame(struct surveying *surveying, uint64_t offset, const struct frame *frame,
                         struct error *err) {
    struct error problem = {0};
    struct change change;
    bool got = true;
    entry_reader_begin_frame(&surveying->entries, buffer_slice(&surveying->plain));
    while (got) {
        arena_reset(&surveying->arena);
        if (!entry_read(&surveying->entries, &surveying->arena, &change, &got, &problem))
            return problem.kind == ERROR_PROTOCOL
                       ? segment_refuse(surveying->segment, offset, frame->first_lsn, frame->end_lsn,
                                        problem.text, err)
                       : error_set(err, problem.kind, "%s", problem.text);
        if (got)
            count_change(surveying->survey, &change);
    }
    return true;
}

static bool take_frame(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct surveying *surveying = context;
    if (atomic_load_explicit(surveying->stop, memory_order_relaxed))
        return error_set(err, ERROR_STOPPED, "stopped");
    surveying->survey->frames++;
    if (frame->kind == FRAME_ENTRIES)
        surveying->survey->plain_bytes += frame->plain_bytes;
    if (frame->first_lsn < surveying->last_lsn || (frame->is_whole && frame->end_lsn < surveying->last_lsn))
        return segment_refuse(surveying->segment, offset, surveying->last_lsn, frame->end_lsn,
                              "a frame is not where it was written", err);
    if (frame->is_whole)
        surveying->last_lsn = frame->end_lsn;
    if (!surveying->checks)
        return true;
    return segment_read(surveying->segment, offset, frame, &surveying->plain, err) &&
           (frame->kind != FRAME_ENTRIES || decode_frame(surveying, offset, frame, err));
}

/* The segment must begin where the one before ends. */
static bool check_next(const struct surveying *surveying, const struct segment_list *list, size_t index,
                       struct error *err) {
    const lsn_t end_lsn = surveying->survey->end.end_lsn;
    if (index + 1 == list->count || list->names[index + 1].first_lsn == end_lsn)
        return true;
    return segment_refuse(surveying->segment, surveying->survey->end.whole_bytes, end_lsn,
                          list->names[index + 1].first_lsn, "the next segment begins later", err);
}

static bool survey_file(struct surveying *surveying, const char *directory, const struct segment_list *list,
                        size_t index, struct error *err) {
    struct segment_survey *survey = surveying->survey;
    if (!segment_open(directory, &list->names[index], index + 1 == list->count, surveying->segment, err))
        return false;
    survey->head = surveying->segment->head;
    surveying->last_lsn = survey->head.first_lsn;
    if (!segment_find_end(surveying->segment, take_frame, surveying, &survey->end, err))
        return false;
    survey->file_bytes = survey->end.whole_bytes + survey->end.extra_bytes;
    return check_next(surveying, list, index, err);
}

bool segment_survey(const char *directory, const struct segment_list *list, size_t index, bool checks,
                    const atomic_bool *stop, struct segment_survey *ret_survey, struct error *err) {
    struct segment segment = {.fd = -1};
    struct surveying surveying = {.segment = &segment, .survey = ret_survey, .stop = stop, .checks = checks};
    struct error problem = {0};
    *ret_survey = (struct segment_survey){.path = segment_path_of(directory, &list->names[index])};
    buffer_init(&surveying.plain, FRAME_PLAIN_BYTES_MAX);
    arena_init(&surveying.arena, BLOCK_BYTES, FRAME_PLAIN_BYTES_MAX);
    entry_reader_init(&surveying.entries);
    const bool is_done = survey_file(&surveying, directory, list, index, &problem);
    entry_reader_release(&surveying.entries);
    arena_release(&surveying.arena);
    buffer_release(&surveying.plain);
    segment_close(&segment);
    const bool is_damaged = problem.kind == ERROR_REFUSE || problem.kind == ERROR_CONFIG;
    if (is_damaged)
        ret_survey->damage = problem;
    if (is_done || is_damaged)
        return true;
    *err = problem;
    return false;
}
