/* SPDX-License-Identifier: Apache-2.0 */
/*
 * wal_end.c - compares each position that the source sends with the earlier ones.
 */
#include "cdc/source/wal_end.h"

#include <inttypes.h>

/*
 * No server writes this much between two messages that are read without a pause. After a long pause we ask
 * the server.
 */
#define JUMP_BYTES_MAX ((lsn_t) 1 << 30)

void wal_end_init(struct wal_end *wal, lsn_t start_lsn, lsn_t flush_lsn) {
    *wal = (struct wal_end){.complete_lsn = start_lsn, .known_lsn = flush_lsn};
}

bool wal_end_is_near(struct wal_end *wal, lsn_t lsn) {
    if (lsn <= wal->known_lsn)
        return true;
    if (lsn - wal->known_lsn > JUMP_BYTES_MAX)
        return false;
    wal->known_lsn = lsn;
    return true;
}

void wal_end_know(struct wal_end *wal, lsn_t flush_lsn) {
    if (flush_lsn > wal->known_lsn)
        wal->known_lsn = flush_lsn;
}

lsn_t wal_end_note_keepalive(struct wal_end *wal, lsn_t lsn) {
    const lsn_t twice_lsn = lsn < wal->keepalive_lsn ? lsn : wal->keepalive_lsn;
    wal->keepalive_lsn = lsn;
    if (twice_lsn <= wal->complete_lsn)
        return 0;
    wal->complete_lsn = twice_lsn;
    return twice_lsn;
}

bool wal_end_wants_keepalive(const struct wal_end *wal) {
    return wal->keepalive_lsn > wal->complete_lsn;
}

bool wal_end_check_begin(const struct wal_end *wal, lsn_t commit_lsn, struct error *err) {
    if (commit_lsn >= wal->complete_lsn)
        return true;
    return error_set(
        err, ERROR_PROTOCOL,
        "source: a transaction that commits at %s arrived after %s, although everything before that was "
        "complete",
        lsn_format(commit_lsn).text, lsn_format(wal->complete_lsn).text);
}

bool wal_end_note_commit(struct wal_end *wal, lsn_t end_lsn, lsn_t message_lsn, struct error *err) {
    if (end_lsn != message_lsn)
        return error_set(err, ERROR_PROTOCOL,
                         "source: a transaction ends at %s by its Commit message, but at %s by its header",
                         lsn_format(end_lsn).text, lsn_format(message_lsn).text);
    if (end_lsn <= wal->complete_lsn)
        return error_set(
            err, ERROR_PROTOCOL,
            "source: a transaction that ends at %s arrived after %s, although everything before that was "
            "complete",
            lsn_format(end_lsn).text, lsn_format(wal->complete_lsn).text);
    wal->complete_lsn = end_lsn;
    return true;
}
