/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.h - stops a runner between two transactions, where its target is exactly a snapshot of the source.
 *
 *     NONE -> HOLD -> HELD -> ADVANCE -> REACHED -> PASS -> PASSED -> NONE
 *             asked   waits   asked      waits      asked   told
 *
 * The runner holds first, so that it is not ahead of the snapshot that the asker takes then. The asker gives
 * that snapshot and an LSN: each transaction that the snapshot sees has its commit record before this LSN.
 * The runner goes on and holds before the first transaction that the snapshot does not see, or at the LSN.
 * There the asker opens a transaction at the target, and lets the runner pass. At the LSN the runner knows
 * whether a transaction came after the hold that the snapshot does see: the order of commits in the WAL is
 * not exactly that in which they become visible. If none came, and the sink had none that the snapshot does
 * not see, both snapshots hold the same transactions.
 *
 * A runner that waits goes on by itself after BARRIER_HELD_MAX_MS, whatever happens to the asker.
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

#include "cdc/base/lsn.h"
#include "cdc/base/xid_snapshot.h"
#include "cdc/engine/applied_xids.h"
#include "decoder/change.h"

enum { BARRIER_HELD_MAX_MS = 10000 };

enum barrier_phase {
    BARRIER_NONE,
    BARRIER_HOLD,
    BARRIER_HELD,
    BARRIER_ADVANCE,
    BARRIER_REACHED,
    BARRIER_PASS,
    BARRIER_PASSED,
};

/* What the runner tells. */
struct barrier_place {
    enum barrier_phase phase;
    lsn_t end_lsn;    /* HELD, REACHED: the end of the last transaction that was applied */
    uint64_t unseen;  /* REACHED: transactions that were applied, and that the snapshot does not see */
    uint64_t unknown; /* REACHED: open in the snapshot, and perhaps applied before the runner started */
    uint64_t late;    /* PASSED: transactions that the snapshot sees and that were applied after the hold */
};

struct barrier {
    pthread_mutex_t lock; /* guards place, snapshot, lsn */
    pthread_cond_t changed;
    atomic_bool is_wanted; /* the phase is not NONE */
    struct barrier_place place;
    struct xid_snapshot snapshot;
    lsn_t lsn;
    int event_fd;                /* an eventfd for the supervisor: the phase changed; not owned */
    struct applied_xids applied; /* the runner's thread */
    int64_t until_ms;            /* the runner's thread: it waits until then at most */
};

void barrier_init(struct barrier *barrier, int event_fd);
void barrier_release(struct barrier *barrier);

/* ---- the supervisor's side ---- */

struct barrier_place barrier_look(struct barrier *barrier);

/* NONE -> HOLD. The caller wakes the runner. */
void barrier_hold(struct barrier *barrier);

/* HELD -> ADVANCE; takes the snapshot. False: the runner does not hold any more. */
MUST_CHECK bool barrier_advance(struct barrier *barrier, lsn_t lsn, struct xid_snapshot *snapshot);

/* REACHED -> PASS. False: the runner does not hold any more. */
MUST_CHECK bool barrier_pass(struct barrier *barrier);

/* From each phase to NONE. */
void barrier_end(struct barrier *barrier);

/* ---- the runner's side ---- */

static inline bool barrier_is_wanted(const struct barrier *barrier) {
    return atomic_load_explicit(&barrier->is_wanted, memory_order_relaxed);
}

/* How many of the changes to apply before the next hold; all of them: there is none before their end. */
size_t barrier_room(struct barrier *barrier, const struct change *changes, size_t count, bool in_transaction);

/*
 * Everything up to end_lsn is visible in the target, and no transaction is open. is_there: the next change is
 * where the runner must hold; else it holds only if the phase wants it at end_lsn. True: it waits.
 */
MUST_CHECK bool barrier_reach(struct barrier *barrier, lsn_t end_lsn, bool is_there);

/* True: still waits, after step_ms at most. */
MUST_CHECK bool barrier_wait(struct barrier *barrier, int step_ms);
