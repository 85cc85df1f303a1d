/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keepalive.h - what a replication connection owes its server in time, and how a dead one is noticed.
 *
 * The server ends a connection that does not report its position within wal_sender_timeout, asks for a report
 * when it needs one, and waits for the confirmation of everything before it shuts down. A server that says
 * nothing is asked, and given up when it does not answer.
 *
 * One thread, the reader's.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/pq/session.h"

struct keepalive {
    struct session *session; /* in COPY BOTH; not owned */
    int interval_ms;         /* a report at least so often */
    lsn_t durable_sent_lsn;  /* in the last report */
    int64_t sent_ms;         /* when that was */
    bool is_due;             /* the server asked for one */
    lsn_t asked_lsn;         /* what the server asked to have confirmed, else 0 */
    int64_t asked_since_ms;  /* when it began to */
    int64_t heard_ms;        /* when the server last said anything */
    bool has_asked;          /* ... and was asked to */
    bool is_partial;         /* what came since the last whole message makes none */
    size_t partial_bytes;    /* of it, since it last went on */
};

/* What is to be reported, and how soon. */
struct keepalive_report {
    lsn_t received_lsn;
    lsn_t durable_lsn;
    int64_t now_ms;
    bool is_prompt;     /* somebody waits for the server's answers: ask often */
    bool wants_message; /* a keepalive is needed to go on */
};

/* The first report is due at once. sender_timeout_ms: the server's wal_sender_timeout, 0: none. */
void keepalive_init(struct keepalive *keepalive, struct session *session, int sender_timeout_ms);

/* The server wants a report; lsn, outside a transaction, is what it wants confirmed in the end, else 0. */
void keepalive_note_request(struct keepalive *keepalive, lsn_t lsn);

/* Whole messages came, or we did not listen. */
void keepalive_note_heard(struct keepalive *keepalive, int64_t now_ms);

/* The socket has something: called before it is read. */
void keepalive_note_readable(struct keepalive *keepalive);

/* What was read made no whole message. */
void keepalive_note_partial(struct keepalive *keepalive);

/* Reports when it is time to. ERROR_RETRY: the server is gone, or waits in vain. Never waits. */
MUST_CHECK bool keepalive_tend(struct keepalive *keepalive, const struct keepalive_report *report,
                               struct error *err);

/* Reports now, if the socket has room. */
MUST_CHECK bool keepalive_send(struct keepalive *keepalive, const struct keepalive_report *report,
                               bool ask_reply, struct error *err);

/* For so long nothing needs to be done. */
int keepalive_wait_ms(const struct keepalive *keepalive, const struct keepalive_report *report);
