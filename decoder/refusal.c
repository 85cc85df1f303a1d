/* SPDX-License-Identifier: Apache-2.0 */
/*
 * refusal.c - refuses messages of features that START_REPLICATION did not request, by name.
 *
 * Their grammar is checked too, so that a damaged stream is not mistaken for a server that streams: the one
 * is a fault, the other a setting.
 */
#include "decoder/decoding.h"

static const char STREAMED[] = "streamed transactions were not requested";
static const char TWO_PHASE[] =
    "two-phase transactions were not requested; a slot created with two_phase sends them anyway";

/*
 * Grammar: 1, 4 and 8 are unsigned integers of that many bytes, s a string, | a place where the message may
 * also end.
 */
static const struct refused {
    char letter;
    const char *name;
    const char *grammar;
    const char *reason;
} REFUSED[] = {
    {'S', "Stream Start", "41", STREAMED},         /* xid, is it the first segment */
    {'E', "Stream Stop", "", STREAMED},            /* nothing */
    {'c', "Stream Commit", "41888", STREAMED},     /* xid, flags, commit_lsn, end_lsn, time */
    {'A', "Stream Abort", "44|88", STREAMED},      /* xid, subxid; with streaming parallel abort_lsn, time */
    {'p', "Stream Prepare", "18884s", STREAMED},   /* flags, prepare_lsn, end_lsn, time, xid, gid */
    {'b', "Begin Prepare", "8884s", TWO_PHASE},    /* prepare_lsn, end_lsn, time, xid, gid */
    {'P', "Prepare", "18884s", TWO_PHASE},         /* flags, prepare_lsn, end_lsn, time, xid, gid */
    {'K', "Commit Prepared", "18884s", TWO_PHASE}, /* flags, commit_lsn, end_lsn, time, xid, gid */
    {'r', "Rollback Prepared", "188884s", TWO_PHASE}, /* flags, prepare_end_lsn, end_lsn, 2 times, xid, gid */
};

static bool follows_grammar(struct cursor cursor, const char *grammar) {
    for (; *grammar != '\0'; grammar++) {
        if (*grammar == '|' && cursor_finish(&cursor))
            return true;
        if (*grammar == 's')
            cursor_string(&cursor);
        else if (*grammar != '|')
            cursor_bytes(&cursor, (size_t) (*grammar - '0'));
    }
    return cursor_finish(&cursor);
}

static bool refusal_refuse(struct decoding *d, const struct refused *refused) {
    if (!follows_grammar(d->cursor, refused->grammar))
        return error_set(d->err, ERROR_PROTOCOL, "a malformed %s message at %s", refused->name,
                         lsn_format(d->lsn).text);
    return error_set(d->err, ERROR_PROTOCOL, "a %s message at %s: %s", refused->name, lsn_format(d->lsn).text,
                     refused->reason);
}

bool decode_refused(struct decoding *d) {
    if (d->cursor.failed)
        return error_set(d->err, ERROR_PROTOCOL, "an empty message at %s", lsn_format(d->lsn).text);
    for (size_t i = 0; i < sizeof REFUSED / sizeof *REFUSED; i++)
        if (REFUSED[i].letter == d->letter)
            return refusal_refuse(d, &REFUSED[i]);
    return error_set(d->err, ERROR_PROTOCOL, "a message of unknown kind 0x%02x at %s", (uint8_t) d->letter,
                     lsn_format(d->lsn).text);
}
