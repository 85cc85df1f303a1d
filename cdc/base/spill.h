/* SPDX-License-Identifier: Apache-2.0 */
/*
 * spill.h - bytes that are read once, in order: the last ones in memory, and beyond a limit those before them
 * in a temporary file without a name, in $TMPDIR or /tmp.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "cdc/base/slice.h"

struct spill {
    struct buffer memory;
    size_t memory_bytes_max;
    int fd; /* -1: no file */
};

void spill_init(struct spill *spill, size_t memory_bytes_max);

/* Empties it, and removes the file. Also on one that is zeroed. */
void spill_release(struct spill *spill);

static inline bool spill_is_empty(const struct spill *spill) {
    return spill->memory.size == 0; /* the file never has the last bytes */
}

/* A full disk is ERROR_RETRY; then nothing of it may be read any more. */
MUST_CHECK bool spill_append(struct spill *spill, struct slice bytes, struct error *err);

/* Gives all bytes to take, in pieces, until one returns false; then it is empty. */
MUST_CHECK bool spill_empty(struct spill *spill,
                            bool (*take)(void *context, struct slice bytes, struct error *err), void *context,
                            struct error *err);
