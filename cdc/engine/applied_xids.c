/* SPDX-License-Identifier: Apache-2.0 */
/*
 * applied_xids.c - a ring of bits; the bit of an xid is at xid modulo the window.
 */
#include "cdc/engine/applied_xids.h"

#include <stdlib.h>
#include <string.h>

enum { WORD_BITS = 64 };

#define WORDS (APPLIED_XIDS_WINDOW / WORD_BITS)

bool applied_xids_init(struct applied_xids *applied, uint64_t next_xid) {
    *applied = (struct applied_xids){
        .words = calloc(WORDS, sizeof *applied->words), .from = next_xid, .end = next_xid};
    return applied->words != NULL;
}

void applied_xids_release(struct applied_xids *applied) {
    free(applied->words);
    *applied = (struct applied_xids){0};
}

static uint64_t *word_of(const struct applied_xids *applied, uint64_t xid) {
    return &applied->words[xid % APPLIED_XIDS_WINDOW / WORD_BITS];
}

static uint64_t bit_of(uint64_t xid) {
    return UINT64_C(1) << (xid % WORD_BITS);
}

static bool has(const struct applied_xids *applied, uint64_t xid) {
    return xid < applied->end && (*word_of(applied, xid) & bit_of(xid)) != 0;
}

/* The bits up to xid still belong to xids one window earlier. */
static void move_end(struct applied_xids *applied, uint64_t end) {
    if (end - applied->end >= APPLIED_XIDS_WINDOW) {
        memset(applied->words, 0, WORDS * sizeof *applied->words);
        applied->end = end;
    }
    for (; applied->end < end; applied->end++)
        *word_of(applied, applied->end) &= ~bit_of(applied->end);
    if (end > APPLIED_XIDS_WINDOW && applied->from < end - APPLIED_XIDS_WINDOW)
        applied->from = end - APPLIED_XIDS_WINDOW;
}

void applied_xids_note(struct applied_xids *applied, xid_t xid) {
    if (applied->words == NULL)
        return;
    const uint64_t wide = xid_widen(xid, applied->end);
    if (wide < applied->from)
        return;
    if (wide >= applied->end)
        move_end(applied, wide + 1);
    *word_of(applied, wide) |= bit_of(wide);
}

uint64_t applied_xids_count_unseen(const struct applied_xids *applied, const struct xid_snapshot *snapshot,
                                   uint64_t *ret_unknown) {
    uint64_t count = 0;
    *ret_unknown = 0;
    if (applied->words == NULL) {
        *ret_unknown = snapshot->open_count + 1;
        return 0;
    }
    for (size_t i = 0; i < snapshot->open_count; i++) {
        if (snapshot->open[i] < applied->from)
            (*ret_unknown)++;
        else
            count += has(applied, snapshot->open[i]);
    }
    if (snapshot->xmax < applied->from) /* it is older than the runner, or than the window */
        return count + (applied->end > applied->from);
    for (uint64_t xid = snapshot->xmax; xid < applied->end; xid++)
        count += has(applied, xid);
    return count;
}
