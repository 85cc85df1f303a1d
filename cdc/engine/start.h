/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.h - where to start streaming, or why not: every check before START_REPLICATION.
 *
 * Pure: facts in, decision out, so that each refusal can be tested. When asked for a position before
 * confirmed_flush_lsn, the server silently starts at confirmed_flush_lsn. When asked for a position beyond
 * its WAL, it silently waits. So gaps must be found here. Every refusal names both values and the remedy.
 */
#pragma once

#include "cdc/config/config.h"
#include "cdc/engine/checkpoint.h"
#include "cdc/source/slot.h"
#include "cdc/source/source.h"

enum start_action {
    START_STREAM,     /* every sink has its position in start_facts.positions */
    START_NEW,        /* nothing exists yet: create the slot, and copy if the configuration says so */
    START_COPY_AGAIN, /* a copy was interrupted: drop our slot, then as START_NEW */
    /* a slot created by an operator, with snapshot: never; the positions are its confirmed_flush_lsn */
    START_ADOPT,
};

struct start_facts {
    const struct config *config;
    const struct checkpoint *checkpoint;
    const struct source_identity *identity;
    const struct slot_facts *slot;    /* NULL: the reader has none */
    lsn_t first_lsn;                  /* without a slot: what ends at or before it can no longer be read */
    const struct position *positions; /* one per sink, completed by start_complete */
};

/*
 * positions: one per sink, as its open returned it. A sink that cannot store its position gets the one on
 * disk.
 */
void start_complete(const struct config *config, const struct checkpoint *checkpoint,
                    struct position *positions);

/* ERROR_REFUSE, or ERROR_CONFIG where the configuration contradicts itself. */
MUST_CHECK bool start_decide(const struct start_facts *facts, enum start_action *ret_action,
                             struct error *err);

/* Must start_check_fork be asked? Not about a position of another cluster, which start_decide refuses. */
bool start_can_fork(const struct position *position, const struct source_identity *identity);

/*
 * fork_lsn: where the source's history left the position's timeline (source_fork_lsn); 0: the position is on
 * the current timeline.
 */
MUST_CHECK bool start_check_fork(const struct position *position, const char *sink, lsn_t fork_lsn,
                                 const struct source_identity *identity, struct error *err);

/* The smallest end_lsn. */
lsn_t start_lsn(const struct position *positions, size_t count);
