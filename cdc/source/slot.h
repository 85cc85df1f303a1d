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
    bool is_two_phase; /* sends transactions when they are prepared, and again that they committed */
    bool is_lost;      /* wal_status lost, or invalidated for whatever reason */
    char reason[64];   /* of the loss, as the server names it */
    char database[64];
    int active_pid;      /* 0: nobody streams from it */
    lsn_t confirmed_lsn; /* confirmed_flush_lsn, 0 when null */
    lsn_t restart_lsn;   /* 0 when null */
};

struct slot_creation {
    lsn_t consistent_lsn;
    /* "" unless exported; lives as long as the replication session is idle and open */
    char snapshot_name[64];
};

/* On an ordinary session. */
MUST_CHECK bool slot_read(struct session *source, const char *slot, struct slot_facts *ret_facts,
                          struct error *err);

/*
 * Told what slot creation waits for ("older transactions to end: pid ..."); called from slot_create about
 * every five seconds.
 */
typedef void slot_waiting_fn(const char *blockers);

/*
 * On a replication session. Waits for every write transaction that is older, for ever, and names them
 * meanwhile through waiting (asked on the ordinary session). Stopped: leaves no slot behind.
 */
MUST_CHECK bool slot_create(struct session *replication, struct session *source, const char *slot,
                            bool export_snapshot, slot_waiting_fn *waiting,
                            struct slot_creation *ret_creation, struct error *err);

/*
 * The same for a slot that ends with the replication session; the changes after *ret_start_lsn come out of
 * it.
 */
MUST_CHECK bool slot_create_temporary(struct session *replication, struct session *source, const char *slot,
                                      slot_waiting_fn *waiting, lsn_t *ret_start_lsn, struct error *err);

/* True also when there is none. A slot in use is ERROR_RETRY naming the pid. On an ordinary session. */
MUST_CHECK bool slot_drop(struct session *source, const char *slot, struct error *err);
