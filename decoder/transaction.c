/* SPDX-License-Identifier: Apache-2.0 */
/*
 * transaction.c - where a transaction begins and ends, its origin, and its messages.
 *
 *     Begin   = 'B' commit_lsn:u64 commit_time_us:i64 xid:u32
 *     Commit  = 'C' flags:u8=0 commit_lsn:u64 end_lsn:u64 commit_time_us:i64
 *     Origin  = 'O' origin_commit_lsn:u64 name:string
 *     Message = 'M' flags:u8 lsn:u64 prefix:string size:u32 content
 */
#include <assert.h>

#include "decoder/decoding.h"

enum { MESSAGE_TRANSACTIONAL = 1 };

bool decode_begin(struct decoding *d) {
    struct transaction transaction = {0};
    transaction.commit_lsn = cursor_u64(&d->cursor);
    transaction.commit_time_us = (int64_t) cursor_u64(&d->cursor);
    transaction.xid = cursor_u32(&d->cursor);
    if (!decoding_finish(d))
        return false;
    if (d->decoder->in_transaction)
        return error_set(d->err, ERROR_PROTOCOL,
                         "a Begin message at %s inside the transaction that commits at %s",
                         lsn_format(d->lsn).text, lsn_format(d->decoder->transaction.commit_lsn).text);
    if (relation_cache_is_large(d->decoder->relations))
        return error_set(d->err, ERROR_RETRY,
                         "the table definitions of this session use much memory: starting a new session");
    assert(d->decoder->shared == NULL);
    d->decoder->in_transaction = true;
    d->decoder->transaction = transaction;
    d->decoder->shared_in = NULL;
    d->decoder->next_index = 0;
    return decoding_add_change(d, CHANGE_BEGIN) != NULL;
}

bool decode_commit(struct decoding *d) {
    uint8_t flags = cursor_u8(&d->cursor);
    lsn_t commit_lsn = cursor_u64(&d->cursor);
    lsn_t end_lsn = cursor_u64(&d->cursor);
    cursor_u64(&d->cursor); /* the commit time, as in Begin */
    if (!decoding_finish(d) || !decoding_expect_transaction(d))
        return false;
    if (flags != 0 || end_lsn <= commit_lsn)
        return decoding_malformed(d);
    if (commit_lsn != d->decoder->transaction.commit_lsn)
        return error_set(d->err, ERROR_PROTOCOL, "the transaction that was to commit at %s committed at %s",
                         lsn_format(d->decoder->transaction.commit_lsn).text, lsn_format(commit_lsn).text);
    struct change *change = decoding_add_change(d, CHANGE_COMMIT);
    if (change == NULL)
        return false;
    assert(d->decoder->shared != NULL && d->decoder->shared->commit_lsn == commit_lsn);
    change->end_lsn = end_lsn;
    d->decoder->shared->end_lsn = end_lsn;
    d->decoder->shared = NULL;
    d->decoder->in_transaction = false;
    return true;
}

bool decode_origin(struct decoding *d) {
    cursor_u64(&d->cursor);
    cursor_string(&d->cursor);
    return decoding_finish(d) && decoding_expect_transaction(d);
}

bool decode_logical_message(struct decoding *d) {
    uint8_t flags = cursor_u8(&d->cursor);
    lsn_t lsn = cursor_u64(&d->cursor);
    struct slice prefix = cursor_string(&d->cursor);
    struct slice content = cursor_bytes(&d->cursor, cursor_u32(&d->cursor));
    if (!decoding_finish(d))
        return false;
    bool transactional = flags == MESSAGE_TRANSACTIONAL;
    if (!transactional && flags != 0)
        return decoding_malformed(d);
    if (transactional && !decoding_expect_transaction(d))
        return false;
    struct change *change = decoding_add_change(d, CHANGE_MESSAGE);
    if (change == NULL)
        return false;
    change->lsn = lsn;
    change->prefix = prefix;
    change->content = content;
    change->transactional = transactional;
    if (transactional)
        change->index = d->decoder->next_index++;
    else
        change->transaction = NULL; /* it counts whether or not a transaction commits */
    return true;
}
