/* SPDX-License-Identifier: Apache-2.0 */
/*
 * archive_export.h - carries a part of an archive to another directory.
 *
 * Whole segments are copied, so that what arrives is an archive again; of the last one, what counts. Each is
 * read and checked while it is copied, and gets its name when it is on disk.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"

struct archive_export {
    const char *from; /* the archive's directory */
    const char *to;   /* a directory that is new or empty; its parent exists */
    lsn_t from_lsn;   /* the segment with the changes after it is the first one; 0: the oldest */
    lsn_t until_lsn;  /* the segment with this position is the last one; 0: the newest */
    const atomic_bool *stop;
    /* What was copied. */
    size_t segments;
    uint64_t bytes;
    lsn_t first_lsn;
    lsn_t end_lsn;
};

/*
 * ERROR_REFUSE for a damaged segment, ERROR_CONFIG for a directory that is not empty. After an error the
 * segments that were copied stay.
 */
MUST_CHECK bool archive_export_run(struct archive_export *export, struct error *err);
