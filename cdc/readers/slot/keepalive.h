/* SPDX-License-Identifier: Apache-2.0 */
/*
 * keepalive.h - answers that a replication connection owes its server in time, and how a dead server is
 * noticed.
 *
 * The server ends a connection that does not report its position within wal_sender_timeout. It asks for a
 * report when it needs one, and when it shuts down it waits for the confirmation of everything. A silent
 * server is asked for a reply, and the connection is given up when none arrives and the server's process is
 * not at work on a message.
 *
 * Used by the feed's thread only.
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
    int interval_ms;         /* report at least this often */
    lsn_t durable_sent_lsn;  /* as of the last report */
    int64_t sent_ms;         /* time of the last report */
    bool is_due;             /* the server asked for one */
    lsn_t asked_lsn;         /* the position that the server wants confirmed, else 0 */
    int64_t asked_since_ms;  /* since when */
    int64_t heard_ms;        /* when the server last sent anything, or was last seen at work */
    int64_t silent_ms;       /* it was seen at work for so long without sending anything */
    bool has_asked;          /* the server was asked for a reply since then */
    bool is_partial;         /* the bytes since the last whole message are an incomplete one */
    size_t partial_bytes;    /* of the incomplete message, since it last made progress */
};

/* The content of a report, and how soon it is needed. */
struct keepalive_report {
    lsn_t received_lsn;
    lsn_t durable_lsn;
    int64_t now_ms;
    bool is_prompt;     /* the pipeline has an end and waits for the server's answers: ask often */
    bool wants_message; /* a keepalive is needed before the position can advance */
};

/* The first report is due at once. sender_timeout_ms: the server's wal_sender_timeout, 0: none. */
void keepalive_init(struct keepalive *keepalive, struct session *session, int sender_timeout_ms);

/*
 * The server wants a report. lsn, outside a transaction, is the position that it finally wants confirmed,
 * else 0.
 */
void keepalive_note_request(struct keepalive *keepalive, lsn_t lsn);

/* Whole messages arrived, or we did not read. */
void keepalive_note_heard(struct keepalive *keepalive, int64_t now_ms);

/* The socket is readable; called before it is read. */
void keepalive_note_readable(struct keepalive *keepalive);

/* The bytes that were read are not a whole message. */
void keepalive_note_partial(struct keepalive *keepalive);

/*
 * Sends a report when one is due. ERROR_RETRY: the server is gone, or waits for a confirmation that does not
 * come. Waits only for the answer about a silent server's process, some seconds.
 */
MUST_CHECK bool keepalive_tend(struct keepalive *keepalive, const struct keepalive_report *report,
                               struct error *err);

/* Reports now, if the socket has room. */
MUST_CHECK bool keepalive_send(struct keepalive *keepalive, const struct keepalive_report *report,
                               bool ask_reply, struct error *err);

/* Nothing is due for this long. */
int keepalive_wait_ms(const struct keepalive *keepalive, const struct keepalive_report *report);
