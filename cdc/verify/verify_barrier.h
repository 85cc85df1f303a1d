/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_barrier.h - two snapshots of the same transactions, with the help of the running engine.
 *
 * The engine's side is cdc/engine/barrier.h. A difference between two such snapshots is a difference.
 */
#pragma once

#include "cdc/engine/control.h"
#include "cdc/verify/verify_sides.h"

/* What kept a barrier from being exact. */
enum verify_obstacle {
    OBSTACLE_NONE,
    OBSTACLE_UNSEEN,  /* a transaction was applied, and no snapshot of the source sees it */
    OBSTACLE_UNKNOWN, /* a transaction is open at the source since before the engine started */
    OBSTACLE_ENGINE,  /* the engine gave no answer, or it has ended */
};

struct verify_barrier {
    int client; /* of the engine's control socket; -1: not connected */
    enum verify_obstacle obstacle;
    size_t count;      /* exact barriers so far */
    char refusal[256]; /* what the engine said last */
};

/* *ret_usable: an engine runs here, and the source's snapshots tell which transactions they see. */
MUST_CHECK bool verify_barrier_open(struct verify_barrier *barrier, struct verify_sides *sides,
                                    bool *ret_usable, struct error *err);
void verify_barrier_close(struct verify_barrier *barrier);

/*
 * Takes both snapshots, trying for some seconds. *ret_exact: they are those of the same transactions; else
 * there are none, and obstacle says why.
 */
MUST_CHECK bool verify_barrier_pin(struct verify_barrier *barrier, struct verify_sides *sides,
                                   bool *ret_exact, struct error *err);
