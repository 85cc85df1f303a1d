/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot_reader.h - the reader of a replication slot: receive, decode, append to batches, confirm.
 *
 * It answers the server in time whatever the sinks do. It confirms as flushed only what the feed calls
 * durable, never what it merely received.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/pq/session.h"
#include "cdc/readers/reader.h"
#include "cdc/readers/slot/announced.h"
#include "cdc/readers/slot/keepalive.h"
#include "cdc/readers/slot/key_lookup.h"
#include "cdc/readers/slot/row_fetch.h"
#include "cdc/readers/slot/socket_fill.h"
#include "cdc/source/standby.h"
#include "cdc/source/wal_end.h"
#include "decoder/decoder.h"

struct slot_reader_options {
    struct session *session; /* an idle replication session; not owned */
    const struct source_config *source;
    const char *slot;
    /* scope_read_announced at the start; NULL: accept everything that the publication sends */
    const PGresult *sent;
    int definition_fd;       /* an eventfd, written to when a definition arrives; 0: none */
    struct standby *standby; /* owned by the feed's thread from start on; NULL: the source is not asked */
    uint32_t timeline;       /* the timeline of every stored position */
    lsn_t start_lsn;         /* 0: the slot's position */
    lsn_t flush_lsn;         /* recent end of the source's WAL */
    const atomic_bool *stop; /* for queries on another connection */
    bool binary;
    bool messages;         /* include messages of pg_logical_emit_message */
    int sender_timeout_ms; /* the server's wal_sender_timeout, 0: none */
    /*
     * Delivers no transaction that ends after it; 0: no end. Once everything before it was delivered,
     * reader.end_lsn is until_lsn. If the commit record of a transaction contains until_lsn, it is the end of
     * the transaction before that one.
     */
    lsn_t until_lsn;
};

struct slot_reader {
    struct reader reader;
    struct slot_reader_options options;
    struct decoder *decoder;
    struct announced announced;
    struct key_lookup keys;
    struct row_fetch fetch;
    struct keepalive keepalive;
    struct wal_end wal; /* which positions are plausible */
    struct socket_fill fill;
    size_t turn_bytes;        /* bytes on the wire in this turn */
    bool rests;               /* this turn reads nothing, so that the socket fills */
    lsn_t whole_lsn;          /* end of the last whole transaction, or the start of the stream */
    lsn_t commit_lsn;         /* of the last transaction received */
    size_t transaction_bytes; /* bytes on the wire of the last transaction received */
    /* the open transaction is after until_lsn according to its Begin; its Commit must confirm that */
    bool is_leaving;
    bool publication_missing; /* the server reported that in a notice */
};

/* Sends nothing before reader.ops->start. For reader.ops->close alone the struct may be zeroed instead. */
MUST_CHECK bool slot_reader_init(struct slot_reader *slot, const struct slot_reader_options *options,
                                 struct error *err);
