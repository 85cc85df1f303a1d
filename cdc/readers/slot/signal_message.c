/* SPDX-License-Identifier: Apache-2.0 */
/*
 * signal_message.c - takes it apart.
 *
 *     Message = 'M' flags:u8 lsn:u64 prefix:string size:u32 content
 */
#include "cdc/readers/slot/signal_message.h"

#include "cdc/base/cursor.h"

#define SIGNAL_PREFIX "pgcdc"

bool signal_message_read(struct slice payload, lsn_t commit_lsn, struct batch_signal *ret_signal) {
    struct cursor cursor = cursor_over(payload);
    struct batch_signal signal = {0};
    if (cursor_u8(&cursor) != 'M')
        return false;
    const bool is_transactional = cursor_u8(&cursor) == 1;
    signal.lsn = cursor_u64(&cursor);
    const struct slice prefix = cursor_string(&cursor);
    signal.text = cursor_bytes(&cursor, cursor_u32(&cursor));
    signal.commit_lsn = is_transactional ? commit_lsn : 0;
    if (!cursor_finish(&cursor) || !slice_equal(prefix, slice_of(SIGNAL_PREFIX)))
        return false;
    *ret_signal = signal;
    return true;
}
