/* SPDX-License-Identifier: Apache-2.0 */
/*
 * verify_step.h - one range of one table, in two snapshots of the same transactions.
 *
 * Ranges follow one another in the same pair of snapshots for some seconds.
 */
#pragma once

#include "cdc/engine/verified.h"
#include "cdc/verify/verify_barrier.h"
#include "cdc/verify/verify_table.h"

struct verify_step {
    struct verify_barrier barrier;
    int64_t pinned_ms; /* when the pair was taken; 0: there is none */
};

enum verify_outcome {
    VERIFY_COMPARED,
    VERIFY_REWRITTEN, /* the snapshots do not show the table's rows any more: try again */
    VERIFY_OBSTACLE,  /* there is no exact pair; barrier.obstacle says why */
};

/* Compares compared->range. *ret_counts: what the range has and what differs in it; the rest is not set. */
MUST_CHECK bool verify_step_compare(struct verify_step *step, struct verify_sides *sides,
                                    struct verify_table *compared, size_t keys_max,
                                    struct verified_range *ret_counts, enum verify_outcome *ret_outcome,
                                    struct error *err);

/* Ends the pair of snapshots, if there is one. */
MUST_CHECK bool verify_step_unpin(struct verify_step *step, struct verify_sides *sides, struct error *err);
