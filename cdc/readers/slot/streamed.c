/* SPDX-License-Identifier: Apache-2.0 */
/*
 * streamed.c - takes the messages of streams apart, and makes ordinary ones of them.
 *
 * Inside a stream a message has the xid of its subtransaction after its letter, except for Origin. After an
 * abort the server describes tables again, so definitions of a subtransaction that aborted go with it.
 */
#include "cdc/readers/slot/streamed.h"

#include <assert.h>
#include <string.h>

#include "cdc/base/cursor.h"
#include "cdc/base/fault.h"

enum { ORIGIN = 'O', XID_BYTES = 4 };

bool streamed_init(struct streamed *streamed, const char *directory, struct error *err) {
    *streamed = (struct streamed){.is_on = directory != NULL};
    return directory == NULL || spool_init(&streamed->spool, directory, err);
}

void streamed_release(struct streamed *streamed) {
    spool_release(&streamed->spool);
    *streamed = (struct streamed){0};
}

static bool malformed_stream(const struct replication_message *message, struct error *err) {
    return error_set(err, ERROR_PROTOCOL, "a malformed message of a streamed transaction at %s",
                     lsn_format(message->lsn).text);
}

/* ---- from the server ---- */

/* The letter, and what follows the xid. */
static bool add_message(struct streamed *streamed, const struct replication_message *message,
                        struct error *err) {
    const struct slice payload = message->payload;
    uint32_t xid;
    if (payload.data[0] == ORIGIN)
        return true;
    if (payload.size < 1 + XID_BYTES)
        return malformed_stream(message, err);
    memcpy(&xid, payload.data + 1, sizeof xid);
    /* nothing is read back now, so that buffer is free */
    struct buffer *scratch = &streamed->spool.frame;
    buffer_reset(scratch);
    buffer_append_u8(scratch, (uint8_t) payload.data[0]);
    buffer_append(scratch, payload.data + 1 + XID_BYTES, payload.size - 1 - XID_BYTES);
    if (!buffer_ok(scratch))
        return error_no_memory(err);
    const struct spool_message spooled = {
        .lsn = message->lsn, .xid = be32toh(xid), .bytes = buffer_slice(scratch)};
    return spool_add(&streamed->spool, &spooled, err);
}

static bool take_start(struct streamed *streamed, struct cursor *cursor, struct error *err) {
    const xid_t xid = cursor_u32(cursor);
    cursor_u8(cursor);
    return !cursor_finish(cursor) || spool_start(&streamed->spool, xid, err);
}

/* With parallel streaming, which is not asked for, an LSN and a time follow. */
static bool take_abort(struct streamed *streamed, struct cursor *cursor, struct error *err) {
    const xid_t xid = cursor_u32(cursor);
    const xid_t subxid = cursor_u32(cursor);
    return !cursor_finish(cursor) || spool_abort(&streamed->spool, xid, subxid, err);
}

static bool take_commit(struct streamed *streamed, const struct replication_message *message,
                        struct cursor *cursor, struct error *err) {
    streamed->xid = cursor_u32(cursor);
    streamed->flags = cursor_u8(cursor);
    streamed->commit_lsn = cursor_u64(cursor);
    streamed->end_lsn = cursor_u64(cursor);
    streamed->time = cursor_u64(cursor);
    streamed->lsn = message->lsn;
    if (!cursor_finish(cursor))
        return true;
    streamed->state = STREAMED_BEGIN;
    FAULT_POINT("streamed-commit");
    return spool_replay(&streamed->spool, streamed->xid, err);
}

bool streamed_take(struct streamed *streamed, const struct replication_message *message, bool *ret_taken,
                   struct error *err) {
    struct cursor cursor = cursor_over(message->payload);
    const char letter = (char) cursor_u8(&cursor);
    assert(!streamed_is_replaying(streamed));
    *ret_taken = streamed->is_on && !cursor.failed;
    if (!*ret_taken)
        return true;
    bool is_good = true;
    switch (letter) {
    case 'S':
        is_good = take_start(streamed, &cursor, err);
        break;
    case 'E':
        return cursor_finish(&cursor) ? spool_stop(&streamed->spool, err) : malformed_stream(message, err);
    case 'A':
        is_good = take_abort(streamed, &cursor, err);
        break;
    case 'c':
        is_good = take_commit(streamed, message, &cursor, err);
        break;
    default:
        *ret_taken = spool_is_streaming(&streamed->spool);
        return !*ret_taken || add_message(streamed, message, err);
    }
    return is_good && (cursor_finish(&cursor) || malformed_stream(message, err));
}

/* ---- read back ---- */

static char *put_u64(char *bytes, uint64_t value) {
    value = htobe64(value);
    memcpy(bytes, &value, sizeof value);
    return bytes + sizeof value;
}

static struct slice make_begin(struct streamed *streamed) {
    char *at = streamed->made;
    const uint32_t xid = htobe32(streamed->xid);
    *at++ = 'B';
    at = put_u64(at, streamed->commit_lsn);
    at = put_u64(at, streamed->time);
    memcpy(at, &xid, sizeof xid);
    return (struct slice){.data = streamed->made, .size = (size_t) (at - streamed->made) + sizeof xid};
}

static struct slice make_commit(struct streamed *streamed) {
    char *at = streamed->made;
    *at++ = 'C';
    *at++ = (char) streamed->flags;
    at = put_u64(at, streamed->commit_lsn);
    at = put_u64(at, streamed->end_lsn);
    at = put_u64(at, streamed->time);
    return (struct slice){.data = streamed->made, .size = (size_t) (at - streamed->made)};
}

bool streamed_next(struct streamed *streamed, struct replication_message *ret_message, struct error *err) {
    struct spool_message spooled;
    bool got = false;
    *ret_message = (struct replication_message){.kind = REPLICATION_DATA, .lsn = streamed->lsn};
    if (streamed->state == STREAMED_BEGIN) {
        streamed->state = STREAMED_CHANGES;
        ret_message->payload = make_begin(streamed);
        return true;
    }
    if (!spool_next(&streamed->spool, &spooled, &got, err))
        return false;
    if (got) {
        ret_message->lsn = spooled.lsn;
        ret_message->payload = spooled.bytes;
        return true;
    }
    streamed->state = STREAMED_NONE;
    ret_message->payload = make_commit(streamed);
    return true;
}
