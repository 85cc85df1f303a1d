/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_page.h - the end of the last record of a server's WAL, from pg_current_wal_insert_lsn().
 *
 * At a page boundary the insert position is already after the next page's header. No record ends there, so no
 * position of the stream, and nothing that is flushed, would reach it on an idle server.
 */
#pragma once

#include <stdint.h>

#include "cdc/base/lsn.h"

enum { WAL_PAGE_HEADER_BYTES = 24, WAL_SEGMENT_HEADER_BYTES = 40 };

/* Any other position is returned unchanged: the tail of a record may end shortly after a header. */
static inline lsn_t wal_page_record_end(lsn_t lsn, uint64_t page_bytes, uint64_t segment_bytes) {
    if (page_bytes == 0 || segment_bytes == 0)
        return lsn;
    if (lsn % segment_bytes == WAL_SEGMENT_HEADER_BYTES)
        return lsn - WAL_SEGMENT_HEADER_BYTES;
    if (lsn % page_bytes == WAL_PAGE_HEADER_BYTES && lsn % segment_bytes > page_bytes)
        return lsn - WAL_PAGE_HEADER_BYTES;
    return lsn;
}
