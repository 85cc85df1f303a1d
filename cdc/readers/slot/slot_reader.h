/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot_reader.h - the stream of a replication slot: receive, decode, append to batches, confirm. The readers
 * of a pipeline's slot and of a temporary one begin with it.
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
#include "cdc/readers/slot/streamed.h"
#include "cdc/readers/slot/stuck_reports.h"
#include "cdc/readers/slot/told_columns.h"
#include "cdc/source/standby.h"
#include "cdc/source/wal_end.h"
#include "decoder/decoder.h"

struct slot_reader_options {
    struct session *session; /* an idle replication session; not owned */
    const char *slot;
    /* scope_read_announced at the start; NULL: accept everything that the publication sends */
    const PGresult *sent;
    struct standby *standby; /* owned by the feed's thread from start on; NULL: the source is not asked */
    uint32_t timeline;       /* the timeline of every stored position */
    lsn_t start_lsn;         /* 0: the slot's position */
    lsn_t flush_lsn;         /* recent end of the source's WAL */
    bool messages;           /* include messages of pg_logical_emit_message */
    bool has_triggers;       /* those of the source tell columns, for sinks that follow them */
    int sender_timeout_ms;   /* the server's wal_sender_timeout, 0: none */
    lsn_t until_lsn;         /* see struct reader_plan; 0: no end */
    /* where large transactions wait until they commit; NULL: the server keeps them until then */
    const char *spool_directory;
    bool *streams_fail; /* set when the server cannot decode an open transaction; with spool_directory */
};

struct slot_reader {
    struct reader reader;
    struct slot_reader_options options;
    struct decoder *decoder;
    struct announced announced;
    struct key_lookup keys;
    struct told_columns told;
    struct row_fetch fetch;
    struct streamed streamed;
    struct keepalive keepalive;
    struct stuck_reports stuck; /* while nothing is read */
    struct wal_end wal;         /* which positions are plausible */
    struct socket_fill fill;
    size_t turn_bytes;        /* bytes on the wire in this turn */
    bool waits_for_disk;      /* nothing is read, because the spool's disk is full */
    bool rests;               /* this turn reads nothing, so that the socket fills */
    lsn_t whole_lsn;          /* end of the last whole transaction, or the start of the stream */
    lsn_t commit_lsn;         /* of the last transaction received */
    lsn_t begun_lsn;          /* the same, as its Begin has it */
    size_t transaction_bytes; /* bytes on the wire of the last transaction received */
    /* the open transaction is after until_lsn according to its Begin; its Commit must confirm that */
    bool is_leaving;
    bool publication_missing; /* the server reported that in a notice */
};

/* Starts the stream. reader is set, and its is_binary says what the server is asked for. */
MUST_CHECK bool slot_reader_start(struct slot_reader *slot, const struct slot_reader_options *options,
                                  struct error *err);

/* The functions of struct reader_ops that begin with the stream; close also on a zeroed struct. */
MUST_CHECK bool slot_reader_read(struct reader *reader, struct batch *batch, bool *ret_drained,
                                 struct error *err);
MUST_CHECK bool slot_reader_check_history(struct reader *reader, struct error *err);
MUST_CHECK bool slot_reader_tend(struct reader *reader, const struct reader_tending *tending,
                                 struct reader_wait *ret_wait, struct error *err);
MUST_CHECK bool slot_reader_finish(struct reader *reader, lsn_t durable_lsn, struct error *err);
void slot_reader_close(struct reader *reader);
