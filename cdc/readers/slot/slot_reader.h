/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot_reader.h - the reader of a replication slot: receive, decode, append to batches, confirm.
 *
 * It answers the server in time whatever the sinks do. What it confirms as flushed is what the feed calls
 * durable, never what it received.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/readers/reader.h"
#include "cdc/readers/slot/announced.h"
#include "cdc/readers/slot/keepalive.h"
#include "cdc/readers/slot/row_fetch.h"
#include "cdc/readers/slot/socket_fill.h"
#include "cdc/source/standby.h"
#include "cdc/source/wal_end.h"
#include "decoder/decoder.h"

struct slot_reader_options {
    struct session *session; /* a replication session, at rest; not owned */
    const struct source_config *source;
    const char *slot;
    const PGresult *sent;    /* scope_read_announced at the start; NULL: whatever the publication sends */
    int definition_fd;       /* an eventfd that is written to when a definition comes; 0: none */
    struct standby *standby; /* the feed's thread's from start on; NULL: the source is not asked */
    uint32_t timeline;       /* of every position that is stored */
    lsn_t start_lsn;         /* 0: where the slot is */
    lsn_t flush_lsn;         /* where the source's WAL ended a moment ago */
    const atomic_bool *stop; /* for a question on another connection */
    bool binary;
    bool messages;                  /* those of pg_logical_emit_message, too */
    struct unsent_keys unsent_keys; /* lives until close */
    int sender_timeout_ms;          /* the server's wal_sender_timeout, 0: none */
    /*
     * Reads no transaction that ends behind it; 0: none. Once all before it came, reader.end_lsn is
     * until_lsn, or the end of the last transaction before one whose commit record lies across it.
     */
    lsn_t until_lsn;
};

struct slot_reader {
    struct reader reader;
    struct slot_reader_options options;
    struct decoder *decoder;
    struct announced announced;
    struct row_fetch fetch;
    struct keepalive keepalive;
    struct wal_end wal; /* what may be believed */
    struct socket_fill fill;
    size_t turn_bytes;        /* on the wire, of this turn */
    bool rests;               /* this turn reads nothing, so that the socket fills */
    lsn_t whole_lsn;          /* end of the last whole transaction, or where the stream began */
    lsn_t commit_lsn;         /* of the last transaction so far */
    size_t transaction_bytes; /* on the wire, of the last transaction so far */
    bool is_leaving; /* until_lsn is in front of the open transaction; its Commit is still to confirm that */
    bool publication_missing; /* the server said so in a notice */
};

/* Nothing is sent before reader.ops->start. The struct may be zeroed instead, for reader.ops->close. */
MUST_CHECK bool slot_reader_init(struct slot_reader *slot, const struct slot_reader_options *options,
                                 struct error *err);
