/* SPDX-License-Identifier: Apache-2.0 */
/*
 * start.h - from where to stream, or why not: every check before START_REPLICATION.
 *
 * Pure: facts in, decision out, so that each refusal can be tested. START_REPLICATION from before the slot's
 * confirmed_flush_lsn is silently moved forward, and a position beyond the server's WAL silently waits; so
 * gaps must be found here. Every refusal names both values and the remedy.
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
    START_ADOPT, /* a slot that somebody prepared, snapshot: never: positions are its confirmed_flush_lsn */
};

struct start_facts {
    const struct config *config;
    const struct checkpoint *checkpoint;
    const struct source_identity *identity;
    const struct slot_facts *slot;
    const struct position *positions; /* one a sink of the config: start_complete's */
};

/*
 * positions: one a sink of the config, as its open returned it. A sink that cannot store its position gets
 * the one that is on disk.
 */
void start_complete(const struct config *config, const struct checkpoint *checkpoint,
                    struct position *positions);

/* ERROR_REFUSE, or ERROR_CONFIG where the configuration contradicts itself. */
MUST_CHECK bool start_decide(const struct start_facts *facts, enum start_action *ret_action,
                             struct error *err);

/*
 * fork_lsn: where the source's history left the position's timeline (source_fork_lsn), 0: it is the current
 * one.
 */
MUST_CHECK bool start_check_fork(const struct position *position, const char *sink, lsn_t fork_lsn,
                                 const struct source_identity *identity, struct error *err);

/* The smallest end_lsn. */
lsn_t start_lsn(const struct position *positions, size_t count);
