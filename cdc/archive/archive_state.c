/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_state.c - the head of the last frame of each group says it, so only heads are read.
 */
#include "cdc/archive/archive_state.h"

#include "cdc/archive/segment_end.h"

struct state {
    lsn_t lsn;
    bool is_found;              /* a group ends at or before lsn, */
    struct archive_state after; /* the last one */
};

static bool look_at_frame(void *context, uint64_t offset, const struct frame *frame, struct error *err) {
    struct state *state = context;
    (void) offset;
    (void) err;
    if (frame->kind != FRAME_ENTRIES || !frame->is_whole)
        return true;
    if (frame->end_lsn <= state->lsn) {
        state->is_found = true;
        state->after = (struct archive_state){.is_whole = !frame->is_copying};
        return true;
    }
    state->after.has_later = true;
    if (state->after.whole_lsn == 0 && !frame->is_copying)
        state->after.whole_lsn = frame->end_lsn;
    return true;
}

static bool look_at_segment(const char *directory, const struct segment_list *list, size_t index,
                            struct state *state, struct error *err) {
    struct segment segment = {.fd = -1};
    struct segment_end end;
    const bool is_read =
        segment_open(directory, &list->names[index], index + 1 == list->count, &segment, err) &&
        segment_find_end(&segment, look_at_frame, state, &end, err);
    segment_close(&segment);
    return is_read;
}

static bool look_back(const char *directory, const struct segment_list *list, struct state *state,
                      struct error *err) {
    for (size_t i = segment_list_find(list, state->lsn) + 1; i > 0 && !state->is_found; i--)
        if (!look_at_segment(directory, list, i - 1, state, err))
            return false;
    return true;
}

static bool look_ahead(const char *directory, const struct segment_list *list, struct state *state,
                       struct error *err) {
    if (!state->is_found || state->after.is_whole)
        return true;
    for (size_t i = segment_list_find(list, state->lsn); i < list->count && state->after.whole_lsn == 0; i++)
        if (!look_at_segment(directory, list, i, state, err))
            return false;
    return true;
}

bool archive_state_find(const char *directory, lsn_t lsn, struct archive_state *ret_state,
                        struct error *err) {
    struct segment_list list = {0};
    struct state state = {.lsn = lsn, .after = {.is_whole = true}};
    bool is_read = segment_list_read(directory, &list, err);
    if (is_read && list.count > 0)
        is_read = look_back(directory, &list, &state, err) && look_ahead(directory, &list, &state, err);
    segment_list_release(&list);
    *ret_state = state.is_found ? state.after : (struct archive_state){.is_whole = true};
    return is_read;
}

bool archive_state_check(const char *directory, const char *option, lsn_t lsn, struct error *err) {
    struct archive_state state;
    if (!archive_state_find(directory, lsn, &state, err))
        return false;
    if (state.is_whole)
        return true;
    error_set(err, ERROR_CONFIG,
              "%s: at %s the copy of the tables into archive %s is not complete, so rows are missing", option,
              lsn_format(lsn).text, directory);
    if (state.whole_lsn != 0)
        return error_remedy(err, "choose %s or later, where it is complete",
                            lsn_format(state.whole_lsn).text);
    return error_remedy(err,
                        "leave %s out, and the replay has everything once the pipeline that writes the "
                        "archive has completed the copy",
                        option);
}
