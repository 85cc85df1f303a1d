/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_cursor.h - the changes of an archive, one after the other, from a position on.
 *
 * Everything that the archive has committed, in its order. At the end of what it has by now the cursor waits
 * at that place, and goes on when there is more. One thread at a time.
 */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "cdc/archive/segment.h"
#include "cdc/base/arena.h"
#include "cdc/base/buffer.h"
#include "cdc/base/error.h"
#include "decoder/change.h"
#include "proto/entry.h"

struct archive_cursor {
    const char *directory; /* not owned */
    struct segment segment;
    bool is_open;
    uint64_t offset;       /* of the next frame */
    uint64_t whole_offset; /* frames before it count */
    lsn_t whole_lsn;       /* the archive's position there */
    lsn_t last_lsn;        /* the position before the next frame's group */
    bool has_rows;         /* rows of a chunk were returned since the last position */
    bool is_copying;       /* after that group: a copy in chunks is not complete */
    bool was_copying;      /* the same at the last position */
    struct entry_reader entries;
    struct buffer plain; /* of the frame that is being read */
};

/*
 * from_lsn: transactions that end at or before it may be left out, and chunks before it. ERROR_REFUSE when
 * the archive begins after it. The caller closes the cursor, also after an error.
 */
MUST_CHECK bool archive_cursor_open(struct archive_cursor *cursor, const char *directory, lsn_t from_lsn,
                                    struct error *err);
void archive_cursor_close(struct archive_cursor *cursor);

enum archive_step {
    ARCHIVE_CHANGE, /* *ret_change is the next one, in arena */
    /*
     * *ret_lsn: everything up to it was returned, and no transaction is open. The same once more after each
     * chunk that is there, and when is_copying changes.
     */
    ARCHIVE_POSITION,
    ARCHIVE_DRAINED, /* there is no more by now */
};

MUST_CHECK bool archive_cursor_next(struct archive_cursor *cursor, struct arena *arena,
                                    enum archive_step *ret_step, struct change *ret_change, lsn_t *ret_lsn,
                                    struct error *err);
