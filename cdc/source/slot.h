/* SPDX-License-Identifier: Apache-2.0 */
/*
 * slot.h - the logical replication slot.
 */
#pragma once

#include <stdatomic.h>
#include <stdbool.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/config/config.h"
#include "cdc/pq/session.h"

struct slot_facts {
    bool exists;
    bool is_logical;
    bool is_pgoutput;
    bool is_two_phase; /* sends transactions when they are prepared, and again when they commit */
    bool is_failover;  /* a standby may keep a copy of it; 17 and later */
    bool is_synced;    /* on a standby: a copy that the server keeps in sync with its primary's */
    bool is_lost;      /* wal_status lost, or invalidated for another reason */
    char reason[64];   /* why it was lost, in the server's words */
    char database[64];
    int active_pid;      /* 0: no session streams from it */
    lsn_t confirmed_lsn; /* confirmed_flush_lsn, 0 when null */
    lsn_t restart_lsn;   /* 0 when null */
};

struct slot_wish {
    bool exports_snapshot;
    bool is_failover; /* only where failover_is_possible() */
};

struct slot_creation {
    lsn_t consistent_lsn;
    /* "" unless exported; valid while the replication session stays idle and open */
    char snapshot_name[64];
};

/* On an ordinary session. */
MUST_CHECK bool slot_read(struct session *source, const char *slot, struct slot_facts *ret_facts,
                          struct error *err);

/*
 * Receives what slot creation waits for ("older transactions to end: pid ..."); slot_create calls it about
 * every five seconds.
 */
typedef void slot_waiting_fn(const char *blockers);

/*
 * On a replication session. Waits, without a limit, for every older write transaction to end, and reports
 * them through waiting (read on the ordinary session). If stopped, leaves no slot.
 */
MUST_CHECK bool slot_create(struct session *replication, struct session *source, const char *slot,
                            const struct slot_wish *wish, slot_waiting_fn *waiting,
                            struct slot_creation *ret_creation, struct error *err);

/*
 * The same for a slot that the server drops with the replication session. Its stream begins after
 * *ret_start_lsn.
 */
MUST_CHECK bool slot_create_temporary(struct session *replication, struct session *source, const char *slot,
                                      slot_waiting_fn *waiting, lsn_t *ret_start_lsn, struct error *err);

/*
 * True also if the slot does not exist. A slot in use is ERROR_RETRY naming the pid. On an ordinary session.
 */
MUST_CHECK bool slot_drop(struct session *source, const char *slot, struct error *err);
