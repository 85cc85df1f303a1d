/* SPDX-License-Identifier: Apache-2.0 */
/*
 * barrier.c - the phases, each moved by one side.
 */
#include "cdc/engine/barrier.h"

#include <assert.h>
#include <errno.h>
#include <sys/eventfd.h>
#include <time.h>

#include "cdc/base/clock.h"

void barrier_init(struct barrier *barrier, int event_fd) {
    pthread_condattr_t attributes;
    *barrier = (struct barrier){.event_fd = event_fd};
    pthread_mutex_init(&barrier->lock, NULL);
    pthread_condattr_init(&attributes);
    pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
    pthread_cond_init(&barrier->changed, &attributes);
    pthread_condattr_destroy(&attributes);
}

void barrier_release(struct barrier *barrier) {
    xid_snapshot_release(&barrier->snapshot);
    applied_xids_release(&barrier->applied);
    pthread_cond_destroy(&barrier->changed);
    pthread_mutex_destroy(&barrier->lock);
}

static void move_locked(struct barrier *barrier, enum barrier_phase phase) {
    assert(barrier != NULL);
    barrier->place.phase = phase;
    atomic_store(&barrier->is_wanted, phase != BARRIER_NONE);
    pthread_cond_signal(&barrier->changed);
}

/* ---- the supervisor's side ---- */

struct barrier_place barrier_look(struct barrier *barrier) {
    pthread_mutex_lock(&barrier->lock);
    const struct barrier_place place = barrier->place;
    pthread_mutex_unlock(&barrier->lock);
    return place;
}

void barrier_hold(struct barrier *barrier) {
    pthread_mutex_lock(&barrier->lock);
    barrier->place = (struct barrier_place){0};
    move_locked(barrier, BARRIER_HOLD);
    pthread_mutex_unlock(&barrier->lock);
}

bool barrier_advance(struct barrier *barrier, lsn_t lsn, struct xid_snapshot *snapshot) {
    pthread_mutex_lock(&barrier->lock);
    const bool good = barrier->place.phase == BARRIER_HELD;
    if (good) {
        const struct xid_snapshot old = barrier->snapshot;
        barrier->snapshot = *snapshot;
        *snapshot = old;
        barrier->lsn = lsn;
        move_locked(barrier, BARRIER_ADVANCE);
    }
    pthread_mutex_unlock(&barrier->lock);
    return good;
}

bool barrier_pass(struct barrier *barrier) {
    pthread_mutex_lock(&barrier->lock);
    const bool good = barrier->place.phase == BARRIER_REACHED;
    if (good)
        move_locked(barrier, BARRIER_PASS);
    pthread_mutex_unlock(&barrier->lock);
    return good;
}

void barrier_end(struct barrier *barrier) {
    pthread_mutex_lock(&barrier->lock);
    move_locked(barrier, BARRIER_NONE);
    pthread_mutex_unlock(&barrier->lock);
}

/* ---- the runner's side ---- */

static bool snapshot_sees(const struct barrier *barrier, const struct transaction *transaction) {
    return xid_snapshot_sees(&barrier->snapshot, xid_widen(transaction->xid, barrier->snapshot.xmax));
}

static size_t find_commit(const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == CHANGE_COMMIT)
            return i + 1;
    return count;
}

static size_t find_unseen(const struct barrier *barrier, const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const struct transaction *transaction = changes[i].transaction;
        if (changes[i].kind == CHANGE_BEGIN &&
            (transaction->commit_lsn >= barrier->lsn || !snapshot_sees(barrier, transaction)))
            return i;
    }
    return count;
}

static void note_late(struct barrier *barrier, const struct change *changes, size_t count) {
    for (size_t i = 0; i < count; i++)
        if (changes[i].kind == CHANGE_BEGIN && changes[i].transaction->commit_lsn < barrier->lsn &&
            snapshot_sees(barrier, changes[i].transaction))
            barrier->place.late++;
}

size_t barrier_room(struct barrier *barrier, const struct change *changes, size_t count,
                    bool in_transaction) {
    size_t room = count;
    pthread_mutex_lock(&barrier->lock);
    switch (barrier->place.phase) {
    case BARRIER_HOLD:
        room = in_transaction ? find_commit(changes, count) : 0;
        break;
    case BARRIER_ADVANCE:
        room = find_unseen(barrier, changes, count);
        break;
    case BARRIER_PASS:
        note_late(barrier, changes, count);
        break;
    case BARRIER_NONE:
    case BARRIER_HELD:
    case BARRIER_REACHED:
    case BARRIER_PASSED:
        break;
    }
    pthread_mutex_unlock(&barrier->lock);
    return room;
}

static void reach_locked(struct barrier *barrier, enum barrier_phase phase, lsn_t end_lsn) {
    barrier->place.end_lsn = end_lsn;
    if (phase == BARRIER_REACHED)
        barrier->place.unseen =
            applied_xids_count_unseen(&barrier->applied, &barrier->snapshot, &barrier->place.unknown);
    barrier->until_ms = clock_now_ms() + BARRIER_HELD_MAX_MS;
    move_locked(barrier, phase);
}

bool barrier_reach(struct barrier *barrier, lsn_t end_lsn, bool is_there) {
    bool waits = false, moved = false;
    pthread_mutex_lock(&barrier->lock);
    const enum barrier_phase phase = barrier->place.phase;
    if (phase == BARRIER_HOLD || (phase == BARRIER_ADVANCE && (is_there || end_lsn >= barrier->lsn))) {
        reach_locked(barrier, phase == BARRIER_HOLD ? BARRIER_HELD : BARRIER_REACHED, end_lsn);
        waits = moved = true;
    } else if (phase == BARRIER_PASS && end_lsn >= barrier->lsn) {
        move_locked(barrier, BARRIER_PASSED);
        moved = true;
    }
    pthread_mutex_unlock(&barrier->lock);
    if (moved)
        eventfd_write(barrier->event_fd, 1);
    return waits;
}

bool barrier_wait(struct barrier *barrier, int step_ms) {
    const struct timespec deadline = clock_deadline(step_ms);
    int waited = 0;
    pthread_mutex_lock(&barrier->lock);
    while ((barrier->place.phase == BARRIER_HELD || barrier->place.phase == BARRIER_REACHED) &&
           waited != ETIMEDOUT)
        waited = pthread_cond_timedwait(&barrier->changed, &barrier->lock, &deadline);
    const bool holds = barrier->place.phase == BARRIER_HELD || barrier->place.phase == BARRIER_REACHED;
    const bool is_over = holds && clock_now_ms() >= barrier->until_ms;
    if (is_over)
        move_locked(barrier, BARRIER_NONE);
    pthread_mutex_unlock(&barrier->lock);
    return holds && !is_over;
}
