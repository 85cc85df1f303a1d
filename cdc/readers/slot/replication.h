/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replication.h - the streaming replication protocol on a replication session: START_REPLICATION, the
 * messages inside COPY BOTH, status updates.
 *
 *     server: 'w' start_lsn u64, end_lsn u64, time i64, a pgoutput message     XLogData
 *             'k' end_lsn u64, time i64, reply u8                              keepalive
 *     client: 'r' received u64, flushed u64, applied u64, time i64, reply u8   status update
 */
#pragma once

#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/base/slice.h"
#include "cdc/pq/session.h"

struct replication_options {
    const char *slot;
    const char *const *publications;
    size_t publication_count;
    lsn_t start_lsn; /* 0: start at the slot's own position */
    bool binary;
    bool origin_is_none; /* leave out changes that were replicated to the source; 16 and later */
    bool messages;       /* send messages of pg_logical_emit_message too */
    bool streams;        /* send large transactions while they are open */
};

enum replication_message_kind { REPLICATION_DATA = 'w', REPLICATION_KEEPALIVE = 'k' };

struct replication_message {
    enum replication_message_kind kind;
    lsn_t lsn;            /* data: of its WAL record; keepalive: the end of what was sent */
    bool reply_requested; /* keepalive */
    struct slice payload; /* data: the pgoutput message, inside raw */
    char *raw;            /* libpq's memory; see replication_message_release */
};

/*
 * Uses pgoutput with the newest protocol version of the server; two-phase stays off.
 */
MUST_CHECK bool replication_start(struct session *session, const struct replication_options *options,
                                  struct error *err);

/*
 * Takes one message from libpq's buffer; *ret_got false: it has none now. Does not read the socket. The end
 * of the stream is an error: ERROR_REFUSE when the slot or the publication cannot deliver what was asked for,
 * else ERROR_RETRY.
 */
MUST_CHECK bool replication_receive(struct session *session, struct replication_message *ret_message,
                                    bool *ret_got, struct error *err);
/*
 * Is it the failure of a server that decodes a transaction with a TRUNCATE in a savepoint that was rolled
 * back, while it is open? All versions from 14 to 18 have it. The same transaction can be decoded after its
 * commit, without streaming.
 */
bool replication_lost_table(const struct error *err);

void replication_message_release(struct replication_message *message);

/* Never blocks; *ret_sent false: the socket's buffer is full, retry later. */
MUST_CHECK bool replication_send_status(struct session *session, lsn_t received_lsn, lsn_t flushed_lsn,
                                        bool ask_reply, bool *ret_sent, struct error *err);

/* Ends COPY BOTH orderly, waiting at most timeout_ms for the server. */
MUST_CHECK bool replication_end(struct session *session, int timeout_ms, struct error *err);
