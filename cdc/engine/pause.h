/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pause.h - sinks that hold between two transactions until an operator lets them go on.
 *
 * A pause is stored in NAME.pause of the state directory before it is in force, so it survives a crash: it
 * ends when an operator ends it, and with nothing else. A runner pays one atomic load for each batch.
 *
 * A pause that a message in the WAL asked for holds right after the transaction of that message, whatever
 * crashes come in between (after_lsn). The sink reads the same message again after a restart; the last place
 * that was obeyed is stored with the pause, so it pauses once (obeyed_lsn).
 */
#pragma once

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cdc/base/error.h"
#include "cdc/base/lsn.h"
#include "cdc/config/config.h"
#include "cdc/engine/checkpoint.h"

enum { PAUSE_BY_MAX = 96 };

/* What is stored of a sink. */
struct pause_facts {
    bool is_wanted;
    int64_t since_us;      /* since 1970 */
    char by[PAUSE_BY_MAX]; /* "root (pid 4711)", "a message at 0/16B3700" */
    lsn_t after_lsn;       /* the transaction that commits here is still applied; 0: none */
    lsn_t obeyed_lsn;      /* messages of transactions that commit up to here were obeyed; 0: none */
};

/* Of one sink; its runner and its copiers read it. */
struct pause {
    atomic_bool is_wanted;
    atomic_ullong after_lsn;
    atomic_bool is_held;    /* the runner holds, and everything before is durable */
    atomic_ullong held_lsn; /* where */
    atomic_ullong obeyed_lsn;
    struct pauses *all;
    size_t index; /* of it in all */
};

/* Of all sinks of a configuration, in its order. */
struct pauses {
    pthread_mutex_t lock; /* guards facts, the file and seen_* */
    const struct config *config;
    lsn_t seen_commit_lsn; /* the last message that a sink has come to (signals.h) */
    lsn_t seen_lsn;
    bool has_end;             /* the run ends by itself: messages do not pause it */
    atomic_bool wants_reload; /* a message asks for one */
    size_t count;
    struct pause_facts facts[CHECKPOINT_SINKS_MAX];
    struct pause sinks[CHECKPOINT_SINKS_MAX];
};

/*
 * Reads the file. One that cannot be read or is not whole is an error that names it: a pause must not be
 * forgotten. Sinks that the configuration does not have any more are left out.
 */
MUST_CHECK bool pauses_read(struct pauses *pauses, const struct config *config, struct error *err);

/* Any thread. */
struct pause_facts pauses_look(struct pauses *pauses, size_t sink);
bool pauses_any(struct pauses *pauses);

/*
 * Stores them, then puts them into force. sink: its index; SIZE_MAX: all. What is paused already keeps its
 * time and its name. facts: since_us, by, and of a message after_lsn and obeyed_lsn. Any thread.
 */
MUST_CHECK bool pauses_begin(struct pauses *pauses, size_t sink, const struct pause_facts *facts,
                             struct error *err);

/* obeyed_lsn: of the message that asks for it; sinks that have obeyed it are left. 0: an operator asks. */
MUST_CHECK bool pauses_end(struct pauses *pauses, size_t sink, lsn_t obeyed_lsn, struct error *err);

/* For `drop`. True also when there is no file. */
MUST_CHECK bool pauses_remove(const char *directory, const char *pipeline, struct error *err);

/* ---- the runner's side; pause may be NULL ---- */

/* May be called for each batch. */
static inline bool pause_is_wanted(const struct pause *pause) {
    return pause != NULL && atomic_load_explicit(&pause->is_wanted, memory_order_relaxed);
}

/* Must a sink hold that has everything up to written_lsn? */
bool pause_holds(const struct pause *pause, lsn_t written_lsn);

/* The runner holds there; and it does not any more. */
void pause_tell(struct pause *pause, lsn_t held_lsn);
void pause_leave(struct pause *pause);
