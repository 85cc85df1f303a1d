/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_cursor.c - frames of the committed groups, in the order of the segments.
 */
#include "cdc/archive/archive_cursor.h"

#include <inttypes.h>
#include <string.h>

/* ---- segments ---- */

static bool open_segment(struct archive_cursor *cursor, const struct segment_list *list, size_t index,
                         struct error *err) {
    segment_close(&cursor->segment);
    cursor->is_open =
        segment_open(cursor->directory, &list->names[index], index + 1 == list->count, &cursor->segment, err);
    if (!cursor->is_open)
        return false;
    cursor->offset = cursor->whole_offset = cursor->segment.first_offset;
    cursor->last_lsn = cursor->whole_lsn = cursor->segment.head.first_lsn;
    entry_reader_begin_segment(&cursor->entries);
    return true;
}

/* The last place of the index before lsn: from there on is everything after it, and each chunk at it. */
static uint64_t find_place(const struct segment_place *places, size_t count, lsn_t lsn, lsn_t *ret_lsn) {
    uint64_t offset = 0;
    for (size_t i = 0; i < count && places[i].first_lsn < lsn; i++) {
        offset = places[i].offset;
        *ret_lsn = places[i].first_lsn;
    }
    return offset;
}

static bool use_index(struct archive_cursor *cursor, uint64_t index_offset, lsn_t from_lsn,
                      struct error *err) {
    struct segment *segment = &cursor->segment;
    struct segment_place *places = NULL;
    size_t count = 0;
    struct frame frame;
    enum segment_step step;
    struct arena arena;
    if (!segment_look(segment, index_offset, segment->head.first_lsn, &frame, &step, err))
        return false;
    if (step == SEGMENT_TORN)
        return true; /* the foot alone is there: the writer will cut it off */
    if (step != SEGMENT_FRAME || frame.kind != FRAME_INDEX)
        return segment_refuse(segment, index_offset, segment->head.first_lsn, 0, "the index is not there",
                              err);
    if (!segment_read(segment, index_offset, &frame, &cursor->plain, err))
        return false;
    arena_init(&arena, 64 * 1024, FRAME_PLAIN_BYTES_MAX);
    const struct slice plain = buffer_slice(&cursor->plain);
    const bool is_read = segment_index_read(plain, &arena, &places, &count, err) &&
                         entry_reader_take_index(&cursor->entries, plain, err);
    const uint64_t offset = is_read ? find_place(places, count, from_lsn, &cursor->last_lsn) : 0;
    arena_release(&arena);
    if (offset != 0)
        cursor->offset = cursor->whole_offset = offset;
    cursor->whole_lsn = cursor->last_lsn;
    return is_read || segment_refuse(segment, index_offset, segment->head.first_lsn, 0, err->text, err);
}

static bool check_beginning(const struct archive_cursor *cursor, lsn_t from_lsn, struct error *err) {
    const lsn_t first_lsn = cursor->segment.head.first_lsn;
    if (first_lsn <= from_lsn)
        return true;
    error_set(err, ERROR_REFUSE, "archive %s: it begins at %s, and changes after %s are needed",
              cursor->directory, lsn_format(first_lsn).text, lsn_format(from_lsn).text);
    return error_remedy(err, "restore its earlier segments from a copy");
}

bool archive_cursor_open(struct archive_cursor *cursor, const char *directory, lsn_t from_lsn,
                         struct error *err) {
    struct segment_list list = {0};
    bool is_closed = false;
    uint64_t index_offset = 0;
    *cursor = (struct archive_cursor){.directory = directory, .segment = {.fd = -1}};
    entry_reader_init(&cursor->entries);
    buffer_init(&cursor->plain, FRAME_PLAIN_BYTES_MAX);
    bool is_open = segment_list_read(directory, &list, err);
    if (is_open && list.count > 0)
        is_open = open_segment(cursor, &list, segment_list_find_before(&list, from_lsn), err) &&
                  check_beginning(cursor, from_lsn, err) &&
                  segment_find_index(&cursor->segment, &is_closed, &index_offset, err) &&
                  (!is_closed || use_index(cursor, index_offset, from_lsn, err));
    segment_list_release(&list);
    return is_open;
}

void archive_cursor_close(struct archive_cursor *cursor) {
    segment_close(&cursor->segment);
    entry_reader_release(&cursor->entries);
    buffer_release(&cursor->plain);
}

/* Is there a segment after this one, or a first one? It begins where this one ends. */
static bool go_on(struct archive_cursor *cursor, bool *ret_went, struct error *err) {
    struct segment_list list = {0};
    *ret_went = false;
    bool is_good = segment_list_read(cursor->directory, &list, err);
    for (size_t i = 0; is_good && !*ret_went && i < list.count; i++) {
        const struct segment_name *name = &list.names[i];
        if (cursor->is_open && name->number <= cursor->segment.name.number)
            continue;
        const lsn_t end_lsn = cursor->last_lsn;
        const bool is_next = !cursor->is_open || name->number == cursor->segment.name.number + 1;
        if (!is_next || (cursor->is_open && name->first_lsn != end_lsn))
            is_good =
                error_set(err, ERROR_REFUSE,
                          "archive %s: segment %" PRIu64 ": it begins at %s, and the one before ends at %s",
                          cursor->directory, name->number, lsn_format(name->first_lsn).text,
                          lsn_format(end_lsn).text) ||
                error_remedy(err, "restore the files from a copy");
        else
            is_good = open_segment(cursor, &list, i, err);
        *ret_went = is_good;
    }
    segment_list_release(&list);
    return is_good;
}

/* ---- frames ---- */

/*
 * What is torn at the end of the last segment may become whole. Before a later segment nothing is torn, so
 * the next look says what is wrong.
 */
static bool look_again(struct archive_cursor *cursor, bool *ret_again, struct error *err) {
    struct segment_list list = {0};
    *ret_again = false;
    if (!cursor->segment.is_last)
        return true;
    const bool is_read = segment_list_read(cursor->directory, &list, err);
    if (is_read && list.count > 0)
        *ret_again = list.names[list.count - 1].number > cursor->segment.name.number;
    cursor->segment.is_last = !*ret_again;
    segment_list_release(&list);
    return is_read;
}

/* Looks on to the end of the next group: frames count once their group is committed. */
static bool find_group(struct archive_cursor *cursor, bool *ret_found, bool *ret_ended, struct error *err) {
    uint64_t offset = cursor->offset;
    *ret_found = *ret_ended = false;
    for (;;) {
        struct frame frame;
        enum segment_step step;
        if (!segment_look(&cursor->segment, offset, cursor->last_lsn, &frame, &step, err))
            return false;
        if (step != SEGMENT_FRAME) {
            bool again = false;
            if (!look_again(cursor, &again, err))
                return false;
            if (!again)
                return true;
            continue;
        }
        *ret_ended = frame.kind == FRAME_FOOT;
        if (*ret_ended)
            return true;
        offset = segment_after(offset, &frame);
        if (!frame.is_whole)
            continue;
        cursor->whole_offset = offset;
        cursor->whole_lsn = frame.end_lsn;
        cursor->is_copying = frame.is_copying;
        *ret_found = true;
        return true;
    }
}

static bool check_frame(const struct archive_cursor *cursor, const struct frame *frame, struct error *err) {
    if (frame->kind != FRAME_ENTRIES || (frame->is_whole && frame->end_lsn < cursor->last_lsn) ||
        frame->first_lsn < cursor->last_lsn)
        return segment_refuse(&cursor->segment, cursor->offset, cursor->last_lsn, frame->end_lsn,
                              "a frame is not where it was written", err);
    return true;
}

static bool read_frame(struct archive_cursor *cursor, struct error *err) {
    struct frame frame;
    enum segment_step step;
    if (!segment_look(&cursor->segment, cursor->offset, cursor->last_lsn, &frame, &step, err))
        return false;
    if (step != SEGMENT_FRAME)
        return segment_refuse(&cursor->segment, cursor->offset, cursor->last_lsn, 0, "a frame is gone", err);
    if (!check_frame(cursor, &frame, err) ||
        !segment_read(&cursor->segment, cursor->offset, &frame, &cursor->plain, err))
        return false;
    entry_reader_begin_frame(&cursor->entries, buffer_slice(&cursor->plain));
    cursor->offset = segment_after(cursor->offset, &frame);
    return true;
}

static bool read_entry(struct archive_cursor *cursor, struct arena *arena, struct change *ret_change,
                       bool *ret_got, struct error *err) {
    struct error problem = {0};
    if (entry_read(&cursor->entries, arena, ret_change, ret_got, &problem))
        return true;
    if (problem.kind != ERROR_PROTOCOL) {
        *err = problem;
        return false;
    }
    return segment_refuse(&cursor->segment, cursor->offset, cursor->last_lsn, cursor->whole_lsn, problem.text,
                          err);
}

/* At the end of a group: to the next one, or to the next segment. */
static bool find_more(struct archive_cursor *cursor, bool *ret_found, struct error *err) {
    bool has_ended = false;
    *ret_found = false;
    if (cursor->is_open && !find_group(cursor, ret_found, &has_ended, err))
        return false;
    if (*ret_found || (cursor->is_open && !has_ended))
        return true;
    bool went = false;
    return go_on(cursor, &went, err) && (!went || find_group(cursor, ret_found, &has_ended, err));
}

bool archive_cursor_next(struct archive_cursor *cursor, struct arena *arena, enum archive_step *ret_step,
                         struct change *ret_change, lsn_t *ret_lsn, struct error *err) {
    for (;;) {
        bool got = false;
        if (!read_entry(cursor, arena, ret_change, &got, err))
            return false;
        *ret_step = ARCHIVE_CHANGE;
        if (got) {
            cursor->has_rows |= ret_change->transaction != NULL && ret_change->transaction->is_chunk;
            return true;
        }
        if (cursor->offset < cursor->whole_offset) {
            if (!read_frame(cursor, err))
                return false;
            continue;
        }
        *ret_step = ARCHIVE_POSITION;
        *ret_lsn = cursor->whole_lsn;
        if (cursor->last_lsn != cursor->whole_lsn || cursor->has_rows ||
            cursor->was_copying != cursor->is_copying) {
            cursor->last_lsn = cursor->whole_lsn;
            cursor->was_copying = cursor->is_copying;
            cursor->has_rows = false;
            return true;
        }
        *ret_step = ARCHIVE_DRAINED;
        bool found = false;
        if (!find_more(cursor, &found, err))
            return false;
        if (!found)
            return true;
    }
}
